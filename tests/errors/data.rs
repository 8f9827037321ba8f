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
                &on("data.source.path=missing.csv"),
                2,
                &["missing.csv, line 6", "column `b` has no value", "data.features"],
            ),
            (&on("data.source.path=noclass.csv"), 2, &["noclass.csv, line 6", "column `kind` has no value"]),
            (&on("data.source.path=city.csv"), 2, &["city.csv, line 2", "column `city`", "data.features"]),
            (&on("data.source.path=header.csv"), 2, &["header.csv has no rows"]),
            (&on("data.target=[\"knid\"]"), 2, &["rows.csv has no column `knid`", "did you mean `kind`?"]),
            (&on("data.task=regression"), 2, &["column `kind`", "not a number"]),
            (&on("data.delimiter=;"), 2, &["`kind`"]),
        ],
    );
    assert!(!bench.path("checkpoints").exists(), "nothing was written");
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
