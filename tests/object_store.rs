//! Objects of S3, Google and Azure on servers of this machine, through the real binary.
//!
//! The servers are moto's (pip: `moto[server]`) and Azurite (npm: `azurite`, its `azurite-blob` in PATH; pip:
//! `azure-storage-blob` puts the objects); without one its test says that it was skipped.
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

/// A kind of server, and how its clients find it.
struct Store {
    scheme: &'static str,
    /// Says whether the server and its Python client are installed.
    installed: &'static str,
    /// What to install.
    missing: &'static str,
    /// Runs on a port.
    server: fn(u16) -> Command,
    /// Creates the bucket `b` or puts the object `b/key`: the server's address, the path, the body.
    put: &'static str,
    /// kiln's environment.
    login: &'static [(&'static str, &'static str)],
    /// The variable that names the server's address.
    address: &'static str,
}

const S3: Store = Store {
    scheme: "s3",
    installed: "import moto.server, boto3",
    missing: "S3: no server is installed (pip: `moto[server]`)",
    server: |port| {
        let mut command = Command::new("python3");
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        command
    },
    put: "
import sys, boto3
address, path, body = sys.argv[1:]
store = boto3.client('s3', endpoint_url=address, region_name='us-east-1',
                     aws_access_key_id='anybody', aws_secret_access_key='anything')
bucket, _, key = path.partition('/')
store.put_object(Bucket=bucket, Key=key, Body=body.encode()) if key else store.create_bucket(Bucket=bucket)
",
    login: &[
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "anybody"),
        ("AWS_SECRET_ACCESS_KEY", "anything"),
    ],
    address: "AWS_ENDPOINT",
};

/// Objects that anybody may read: Google's XML requests for them are those of S3, which moto answers.
const GOOGLE: Store = Store {
    scheme: "gs",
    put: "
import sys, boto3
address, path, body = sys.argv[1:]
store = boto3.client('s3', endpoint_url=address, region_name='us-east-1',
                     aws_access_key_id='anybody', aws_secret_access_key='anything')
bucket, _, key = path.partition('/')
if key:
    store.put_object(Bucket=bucket, Key=key, Body=body.encode(), ACL='public-read')
else:
    store.create_bucket(Bucket=bucket, ACL='public-read')
",
    login: &[("ALLOW_HTTP", "true"), ("GOOGLE_SKIP_SIGNATURE", "true")],
    address: "GOOGLE_BASE_URL",
    ..S3
};

const AZURE: Store = Store {
    scheme: "az",
    installed: "import shutil, azure.storage.blob; assert shutil.which('azurite-blob')",
    missing: "Azure: no server is installed (npm: `azurite`; pip: `azure-storage-blob`)",
    server: |port| {
        let mut command = Command::new("azurite-blob");
        command.args(["--inMemoryPersistence", "--skipApiVersionCheck", "--blobPort", &port.to_string()]);
        command
    },
    // The account and the key that every such server knows, by its documentation.
    put: "
import sys
from azure.storage.blob import BlobServiceClient
address, path, body = sys.argv[1:]
key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
store = BlobServiceClient(address + '/devstoreaccount1', {'account_name': 'devstoreaccount1', 'account_key': key})
container, _, name = path.partition('/')
store.get_blob_client(container, name).upload_blob(body, overwrite=True) if name else store.create_container(container)
",
    login: &[("AZURE_STORAGE_USE_EMULATOR", "true")],
    address: "AZURITE_BLOB_STORAGE_URL",
};

struct Server {
    store: Store,
    child: Child,
    address: String,
}

impl Server {
    fn start(store: Store) -> Option<Self> {
        let here = Command::new("python3").args(["-c", store.installed]).stderr(Stdio::null()).status();
        if !here.is_ok_and(|status| status.success()) {
            common::skip(store.missing);
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = (store.server)(port).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "the server of {} does not start", store.scheme);
            thread::sleep(Duration::from_millis(100));
        }
        Some(Self { store, child, address: format!("http://127.0.0.1:{port}") })
    }

    /// Puts an object at `bucket/key`, or creates the bucket.
    fn put(&self, path: &str, body: &str) {
        let output = Command::new("python3").args(["-c", self.store.put, &self.address, path, body]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn kiln(&self, bench: &Bench, args: &[&str]) -> Said {
        let mut command = bench.command(args);
        command.envs(self.store.login.iter().copied()).env(self.store.address, &self.address);
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
fn objects_of_s3_train_as_their_files_do() {
    objects_train_as_their_files_do(S3);
}

#[test]
fn objects_of_google_train_as_their_files_do() {
    objects_train_as_their_files_do(GOOGLE);
}

#[test]
fn objects_of_azure_train_as_their_files_do() {
    objects_train_as_their_files_do(AZURE);
}

fn objects_train_as_their_files_do(store: Store) {
    let Some(server) = Server::start(store) else { return };
    let scheme = server.store.scheme;
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
    bench.write("objects.toml", &config(&format!("{scheme}://data/2026/part-*.csv")));

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
    assert!(says(&format!("{scheme}://data/2026/none.csv")).contains("there is no object"));
    assert!(says(&format!("{scheme}://data/2026/none-*.csv")).contains("0 objects fit"));
    assert!(says(&format!("{scheme}://")).contains("no address of an object"));
}
