//! Against a real server on loopback.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

const QUICK: Patience = Patience {
    connect: Duration::from_secs(5),
    read: Duration::from_millis(300),
    tries: 3,
    pause: Duration::from_millis(1),
};

/// Answers every request by `answer(request head, stream)` and remembers the heads.
fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/data.csv?x=1", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<_> = lines.map_while(|line| line.ok().filter(|line| !line.is_empty())).collect();
            let head = head.join("\n").to_lowercase();
            seen.lock().unwrap().push(head.clone());
            answer(&head, &mut stream);
        }
    });
    (address, heads)
}

/// The body `0123456789`, ten times; breaks after 40 bytes unless it is asked for the rest.
fn breaking(head: &str, stream: &mut TcpStream) {
    let body = "0123456789".repeat(10);
    let common = "etag: \"v1\"\r\nconnection: close";
    if head.contains("range: bytes=40-") {
        assert!(head.contains("if-range: \"v1\""), "{head}");
        let range = "content-range: bytes 40-99/100\r\ncontent-length: 60";
        write!(stream, "HTTP/1.1 206 Partial Content\r\n{range}\r\n{common}\r\n\r\n{}", &body[40..]).unwrap();
    } else {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n{common}\r\n\r\n{}", &body[..40]).unwrap();
    }
}

fn sum(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn left(folder: &Path) -> usize {
    folder.read_dir().unwrap().count()
}

#[test]
fn a_break_is_resumed_and_the_second_call_asks_nobody() {
    let (address, heads) = serve(breaking);
    let folder = tempfile::tempdir().unwrap();
    let expected = sum(&"0123456789".repeat(10));
    let file = url_into(&address, Some(&expected), folder.path(), QUICK, &|_| ()).unwrap();
    assert!(file.to_str().unwrap().ends_with("-data.csv"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "0123456789".repeat(10));
    assert_eq!((heads.lock().unwrap().len(), left(folder.path())), (2, 1));
    assert_eq!(url_into(&address, Some(&expected), folder.path(), QUICK, &|_| ()).unwrap(), file);
    assert_eq!(heads.lock().unwrap().len(), 2);
}

#[test]
fn another_process_goes_on_where_the_first_stopped() {
    let (address, heads) = serve(breaking);
    let folder = tempfile::tempdir().unwrap();
    let once = Patience { tries: 1, ..QUICK };
    let error = url_into(&address, None, folder.path(), once, &|_| ()).unwrap_err().to_string();
    assert!(error.contains("goes on where it stopped"), "{error}");
    let file = url_into(&address, None, folder.path(), once, &|_| ()).unwrap();
    assert_eq!(fs::metadata(file).unwrap().len(), 100);
    assert!(heads.lock().unwrap()[1].contains("range: bytes=40-"));
}

#[test]
fn a_server_without_ranges_starts_over() {
    let body = "x".repeat(50);
    let count = Mutex::new(0);
    let (address, _) = serve(move |_, stream| {
        *count.lock().unwrap() += 1;
        let sent = if *count.lock().unwrap() == 1 { &body[..20] } else { &body };
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 50\r\nconnection: close\r\n\r\n{sent}").unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let file = url_into(&address, None, folder.path(), QUICK, &|_| ()).unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "x".repeat(50));
}

#[test]
fn a_missing_file_is_final() {
    let (address, heads) = serve(|_, stream| {
        write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let error = url_into(&address, None, folder.path(), QUICK, &|_| ()).unwrap_err();
    assert!(error.to_string().contains("no such file (404); check the address"), "{error}");
    assert_eq!((error.exit_code(), heads.lock().unwrap().len()), (2, 1));
}

#[test]
fn a_refused_connection_is_tried_a_few_times() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/a.txt", listener.local_addr().unwrap());
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let error = url_into(&address, None, folder.path(), QUICK, &|_| ()).unwrap_err().to_string();
    assert!(error.contains("refused the connection (3 tries)"), "{error}");
}

#[test]
fn a_silent_server_is_a_time_out() {
    let (address, _) = serve(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf").unwrap();
        thread::sleep(Duration::from_millis(700));
    });
    let folder = tempfile::tempdir().unwrap();
    let error = url_into(&address, None, folder.path(), Patience { tries: 1, ..QUICK }, &|_| ()).unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
}

#[test]
fn a_wrong_checksum_removes_the_download() {
    let (address, _) = serve(breaking);
    let folder = tempfile::tempdir().unwrap();
    let error = url_into(&address, Some(&sum("other")), folder.path(), QUICK, &|_| ()).unwrap_err().to_string();
    assert!(error.contains("wrong checksum: expected"), "{error}");
    assert_eq!(left(folder.path()), 0);
}

#[test]
fn an_unknown_host_and_bad_arguments_are_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let get = |address: &str, sum| url_into(address, sum, folder.path(), QUICK, &|_| ()).unwrap_err().to_string();
    let unknown = get("http://kiln-no-such-host.invalid/x", None);
    assert!(unknown.contains("host is unknown"), "{unknown}");
    assert!(get("ftp://a/b", None).contains("not an http or https address"));
    assert!(get("http://a/b", Some("12")).contains("is not a SHA-256 checksum"));
}
