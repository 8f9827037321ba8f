//! Objects of an S3 server on this machine, through the real binary.
//!
//! The server is moto's (pip: `moto[server]`); without it the test says that it was skipped.
#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{Bench, Said, TABLE};

/// boto3 comes with moto.
const PUT: &str = "
import sys, boto3
address, path, body = sys.argv[1:]
store = boto3.client('s3', endpoint_url=address, region_name='us-east-1',
                     aws_access_key_id='anybody', aws_secret_access_key='anything')
bucket, _, key = path.partition('/')
store.put_object(Bucket=bucket, Key=key, Body=body.encode()) if key else store.create_bucket(Bucket=bucket)
";

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Option<Self> {
        let here = Command::new("python3").args(["-c", "import moto.server"]).stderr(Stdio::null()).status();
        if !here.is_ok_and(|status| status.success()) {
            common::skip("S3: no server is installed (pip: `moto[server]`)");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("python3");
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "moto does not start");
            thread::sleep(Duration::from_millis(100));
        }
        Some(Self { child, address: format!("http://127.0.0.1:{port}") })
    }

    /// Puts an object at `bucket/key`, or creates the bucket.
    fn put(&self, path: &str, body: &str) {
        let output = Command::new("python3").args(["-c", PUT, &self.address, path, body]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn kiln(&self, bench: &Bench, args: &[&str]) -> Said {
        let mut command = bench.command(args);
        command.env("AWS_ENDPOINT", &self.address).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "anybody").env("AWS_SECRET_ACCESS_KEY", "anything");
        command.env("KILN_CACHE", bench.path("cache")).output().unwrap().into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn objects_train_as_their_files_do() {
    let Some(server) = Server::start() else { return };
    let bench = Bench::table();
    let rows = fs::read_to_string(bench.path("rows.csv")).unwrap();
    let (head, body) = rows.split_once('\n').unwrap();
    let lines: Vec<&str> = body.lines().collect();
    server.put("data", "");
    for (part, lines) in lines.chunks(100).enumerate() {
        server.put(&format!("data/2026/part-{part}.csv"), &format!("{head}\n{}\n", lines.join("\n")));
    }
    server.put("data/2026/notes.txt", "not a table");
    let config = |url: &str| TABLE.replace("{ path = \"rows.csv\" }", &format!("{{ url = \"{url}\" }}"));
    bench.write("objects.toml", &config("s3://data/2026/part-*.csv"));

    let shown = |config: &str| {
        let said = server.kiln(&bench, &["data", "show", config, "--rows", "100", "--json"]);
        assert_eq!(said.code, 0, "{}", said.err);
        serde_json::from_str::<serde_json::Value>(&said.out).unwrap()
    };
    assert_eq!(shown("objects.toml")["splits"], shown("table.toml")["splits"]);
    let said = server.kiln(&bench, &["train", "objects.toml"]);
    assert_eq!(said.code, 0, "{}", said.err);

    // A new version of an object is other data.
    server.put("data/2026/part-1.csv", &format!("{head}\n{}\n", lines[..50].join("\n")));
    assert_ne!(shown("objects.toml")["fingerprint"], shown("table.toml")["fingerprint"]);

    let says = |url: &str| {
        bench.write("bad.toml", &config(url));
        let said = server.kiln(&bench, &["data", "show", "bad.toml"]);
        assert_eq!(said.code, 2, "{}", said.err);
        said.err
    };
    assert!(says("s3://data/2026/none.csv").contains("there is no object"));
    assert!(says("s3://data/2026/none-*.csv").contains("0 objects fit"));
    assert!(says("s3://").contains("no address of an object"));
}
