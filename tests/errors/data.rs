//! Data that is missing, unreadable or not what the config says.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use crate::{
    common::{Bench, rows},
    refuse,
};

/// `train table.toml` on another file.
fn on(path: &str) -> Vec<&str> {
    vec!["train", "table.toml", "--set", path]
}

#[test]
fn a_table_that_does_not_fit_names_line_and_column() {
    let bench = Bench::table();
    let with = |name: &str, line: &str| {
        let mut lines: Vec<String> = rows().lines().map(str::to_string).collect();
        lines.insert(5, line.into());
        bench.write(name, &(lines.join("\n") + "\n"));
    };
    with("ragged.csv", "1,2");
    with("letters.csv", "1,abc,up");
    with("missing.csv", "1,,up");
    with("noclass.csv", "1,2,");
    bench.write(
        "city.csv",
        &rows().replace("a,b,kind", "a,b,city,kind").replace(",up", ",paris,up").replace(",down", ",rome,down"),
    );
    bench.write("header.csv", "a,b,kind\n");
    refuse(
        &bench,
        &[
            (&on("data.source.path=ragged.csv"), 2, &["ragged.csv, line 6", "2 fields instead of 3", "data.delimiter"]),
            (&on("data.source.path=letters.csv"), 2, &["letters.csv, line 6", "column `b`", "\"abc\", not a number"]),
            (
                &[
                    "train",
                    "table.toml",
                    "--set",
                    "data.source.path=missing.csv",
                    "--set",
                    "data.clean.on_missing=refuse",
                ],
                2,
                &["missing.csv, line 6", "column `b` has no value", "`data.columns.b.on_missing`"],
            ),
            (&on("data.source.path=noclass.csv"), 2, &["noclass.csv, line 6", "column `kind` has no value"]),
            (
                &[
                    "train",
                    "table.toml",
                    "--set",
                    "data.source.path=city.csv",
                    "--set",
                    "data.columns.ctiy=categorical",
                ],
                2,
                &["`data.columns.ctiy`", "city.csv has no column `ctiy`", "did you mean `city`?"],
            ),
            (
                &["train", "table.toml", "--set", "data.source.path=city.csv", "--set", "data.columns.city=numeric"],
                2,
                &[
                    "200 values do not fit",
                    "city.csv, line 2: column `city` is \"",
                    "and 180 more",
                    "`data.columns.city`",
                ],
            ),
            (&on("data.columns.b.encode=hash"), 2, &["`data.columns.b.encode` means nothing", "column `b` is numeric"]),
            (&on("data.source.path=header.csv"), 2, &["header.csv has no rows"]),
            (&on("data.target=[\"knid\"]"), 2, &["rows.csv has no column `knid`", "did you mean `kind`?"]),
            (&on("data.task=regression"), 2, &["column `kind`", "not a number"]),
            (&on("data.delimiter=;"), 2, &["`kind`"]),
        ],
    );
    assert!(!bench.path("checkpoints").exists(), "nothing was written");
}

#[test]
fn rows_to_predict_for_that_do_not_fit_are_all_named() {
    let bench = Bench::table();
    let text = rows().replace("a,b,kind", "a,b,city,kind").replace(",up", ",paris,up").replace(",down", ",rome,down");
    bench.write("rows.csv", &text);
    bench.ok(&["train", "table.toml", "--quiet", "--set", "data.columns.city.on_unseen=refuse"]);
    bench.write("new.csv", "a,b,city\n0.1,0.2,rome\n0.1,x,rome\n0.3,0.4,oslo\n");
    bench.write("gone.csv", "a,city\n0.1,rome\n");
    refuse(
        &bench,
        &[
            (
                &["predict", "table", "--input", "new.csv"],
                2,
                &[
                    "2 values do not fit",
                    "new.csv, line 3: column `b` is \"x\", not a number",
                    "new.csv, line 4: column `city` is \"oslo\", a category that no training row has",
                ],
            ),
            (&["predict", "table", "--input", "gone.csv"], 2, &["gone.csv has no column `b`"]),
        ],
    );
}

#[test]
fn a_source_that_is_not_there_or_not_text() {
    let bench = Bench::tiny();
    std::fs::write(bench.path("latin.txt"), b"caf\xe9 ".repeat(500)).unwrap();
    bench.write("short.txt", "a few words");
    refuse(
        &bench,
        &[
            (&["train", "tiny.toml", "--set", "data.source.path=nope.txt"], 2, &["nope.txt", "`data.source`"]),
            (
                &["train", "tiny.toml", "--set", "data.source.path=latin.txt"],
                2,
                &["latin.txt is not UTF-8", "byte 3", "bytes"],
            ),
            (&["train", "tiny.toml", "--set", "data.source.path=short.txt"], 2, &["`data.context` = 8"]),
            (&["train", "tiny.toml", "--set", "data.context=100000"], 2, &["`data.context` = 100000", "13941 tokens"]),
            (
                &["train", "tiny.toml", "--set", "data.source={ dataset = \"shakspeare\" }"],
                2,
                &["no data set named `shakspeare`", "did you mean `shakespeare`?"],
            ),
            (
                &["data", "fetch", "nothing-like-it"],
                2,
                &["no data set named `nothing-like-it`", "rust-crates, shakespeare"],
            ),
        ],
    );
    assert!(!bench.path("checkpoints").exists(), "nothing was written");
}

#[test]
fn a_download_that_is_refused_or_has_the_wrong_checksum() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let body = "some text that is not the one that was promised\n".repeat(20);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    let bench = Bench::tiny();
    let cache = format!("data.cache={}", bench.path("cache").display());
    let url = format!("data.source={{ url = \"http://127.0.0.1:{port}/text.txt\" }}");
    let wrong = format!("data.sha256={}", "0".repeat(64));
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("data.source={{ url = \"http://{}/text.txt\" }}", listener.local_addr().unwrap())
    };
    refuse(
        &bench,
        &[
            (
                &["train", "tiny.toml", "--set", &cache, "--set", &url, "--set", &wrong],
                2,
                &["text.txt has the wrong checksum", "000000", "`data.sha256`"],
            ),
            (
                &["train", "tiny.toml", "--set", &cache, "--set", &closed],
                1,
                &["refused the connection", "check the address"],
            ),
        ],
    );
}
