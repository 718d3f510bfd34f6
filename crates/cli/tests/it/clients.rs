//! `cellwall serve` and its clients: curl, and one that reads slowly.

use crate::serve::{HELLO, Server, resident};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

#[test]
fn a_reader_that_pauses_is_waited_for() {
    // Shorter than the pauses: the time of the client is not that of the guest.
    let server = Server::start(&["--timeout", "200ms"]);
    server.get("/hello");
    let before = resident(server.child.id());
    let mut stream = server.connect();
    write!(stream, "GET /big HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(600));
        // More than the system has buffered meanwhile.
        let mut bytes = 0;
        while bytes < 16 << 20 {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "it ends after {bytes} bytes");
            bytes += count;
        }
    }
    let now = resident(server.child.id());
    assert!(now < before + (24 << 20), "from {before} to {now} bytes");
}

/// Needs `curl`: without it, the other tests speak with clients of their own only.
#[test]
fn curl_and_the_server_understand_each_other() {
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        let output = command
            .args(["-sS", "--noproxy", "*", "--max-time", "60"])
            .args(arguments)
            .output();
        output.map(|output| {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{arguments:?}: {errors}");
            output.stdout
        })
    };
    let Ok(version) = curl(&["--version"]) else {
        eprintln!("there is no curl here: not tested");
        return;
    };
    let has_http2 = String::from_utf8_lossy(&version).contains(" HTTP2");
    let server = Server::start(&[]);
    let url = |path: &str| format!("http://{}{path}", server.addr);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("curl-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let sent: Vec<u8> = (0..6 << 20).map(|at: u32| (at ^ (at >> 11)) as u8).collect();
    let file = folder.join("sent");
    std::fs::write(&file, &sent).unwrap();
    let file = file.to_str().unwrap();
    let versions: &[&str] = match has_http2 {
        true => &["--http1.1", "--http1.0", "--http2-prior-knowledge"],
        false => &["--http1.1", "--http1.0"],
    };
    for version in versions {
        let got = curl(&[version, &url("/hello")]).unwrap();
        assert_eq!(got, HELLO.1, "{version}");
        let status = curl(&[version, "-o", "/dev/null", "-w", "%{http_code}", &url("/none")]).unwrap();
        assert_eq!(status, b"404", "{version}");
        let got = curl(&[version, "--data-binary", &format!("@{file}"), &url("/echo")]).unwrap();
        assert!(got == sent, "{version}: the echo differs");
        // Of a length that is not said before, where the version has such bodies.
        if *version != "--http1.0" {
            let fields = ["-H", "transfer-encoding: chunked"];
            let fields: &[&str] = if *version == "--http1.1" { &fields } else { &[] };
            let echo = url("/echo");
            let arguments = [&[*version][..], fields, &["-X", "POST", "-T", file, &echo]].concat();
            let got = curl(&arguments).unwrap();
            assert!(got == sent, "{version}: the echo differs");
        }
    }
    let head = curl(&["-I", &url("/hello")]).unwrap();
    assert!(
        head.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    let _ = std::fs::remove_dir_all(&folder);
}
