//! A corpus from a URL, through the real binary: a break is resumed, and another file than the one expected is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use common::{Bench, TINY};
use sha2::{Digest, Sha256};

/// Serves `body` on loopback, but breaks off in the middle unless it is asked for the rest; keeps every `range` header.
fn breaking(body: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/corpus.txt", listener.local_addr().unwrap());
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let seen = ranges.clone();
    std::thread::spawn(move || {
        let (middle, len) = (body.len() / 2, body.len());
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|l| l.to_lowercase()).collect();
            let range = head.iter().find_map(|line| line.strip_prefix("range: ")).unwrap_or("whole").to_string();
            let resumed = range == format!("bytes={middle}-");
            seen.lock().unwrap().push(range);
            let (status, part) = match resumed {
                true => {
                    (format!("206 Partial Content\r\ncontent-range: bytes {middle}-{}/{len}", len - 1), &body[middle..])
                }
                false => ("200 OK".to_string(), &body[..middle]),
            };
            let length = if resumed { len - middle } else { len };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\netag: \"1\"\r\nconnection: close\r\n\r\n");
            stream.write_all((head + part).as_bytes()).unwrap();
        }
    });
    (address, ranges)
}

#[test]
fn a_download_is_resumed_after_a_break_and_checked() {
    let bench = Bench::new();
    let text: String = (0..400).map(|i| format!("line {i} of a text that repeats itself\n")).collect();
    let sum: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let (address, ranges) = breaking(text.clone());
    bench.write("tiny.toml", &TINY.replace("{ path = \"text.txt\" }", &format!("{{ url = \"{address}\" }}")));
    let train = |sum: &str| {
        let expected = format!("data.sha256={sum}");
        let mut command = bench.command(&["train", "tiny.toml", "--fresh", "--set", &expected]);
        command.env("KILN_CACHE", bench.path("cache")).output().unwrap().into()
    };
    let wrong: common::Said = train(&sum.replace(&sum[..1], if sum.starts_with('0') { "1" } else { "0" }));
    assert_ne!(wrong.code, 0);
    assert!(wrong.err.contains("wrong checksum") && wrong.err.contains(&sum), "{}", wrong.err);
    assert!(!bench.path("checkpoints").exists(), "nothing was trained on it");
    let right = train(&sum);
    assert_eq!(right.code, 0, "{}", right.err);
    let rest = format!("bytes={}-", text.len() / 2);
    assert_eq!(*ranges.lock().unwrap(), ["whole", &rest, "whole", &rest], "the refused file was not kept");
    assert_eq!(train(&sum).code, 0);
    assert_eq!(ranges.lock().unwrap().len(), 4, "what is there is not fetched again");
    let files = fs::read_dir(bench.path("cache/downloads")).unwrap().map(|entry| entry.unwrap().path());
    let texts: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "txt")).collect();
    assert_eq!(fs::read_to_string(&texts[0]).unwrap(), text);
}
