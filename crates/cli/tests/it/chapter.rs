//! The chapter "Guests in four languages": each command in it is run, and must print what the book says.
//!
//! Ports are replaced by free ones. What ends in `&` goes on until the end of the chapter; `curl` is a
//! few lines of this file.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A command and the lines that the book shows below it.
struct Step {
    command: String,
    shown: Vec<String>,
}

fn steps(chapter: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_console = false;
    for line in chapter.lines() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ")
            && is_console
        {
            let (command, shown) = (command.to_owned(), Vec::new());
            steps.push(Step { command, shown });
        } else if is_console {
            let step = steps.last_mut().expect("a block begins with a command");
            step.shown.push(line.to_owned());
        }
    }
    steps
}

/// A folder in which `guests` is that of the examples; gone with the test, as are programs that still run.
struct Place {
    folder: PathBuf,
    running: Vec<Child>,
}

impl Place {
    fn new() -> Place {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let name = format!("chapter-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the target folder can be written");
        let guests =
            fs::canonicalize(Path::new(TOP).join("examples/guests")).expect("the examples are there");
        std::os::unix::fs::symlink(guests, folder.join("guests")).expect("the target folder can be written");
        let running = Vec::new();
        Place { folder, running }
    }

    fn shell(&self, line: &str) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_cellwall")).parent();
        let bin = bin.expect("it is in a folder").to_owned();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", bin.display()))
            .args(["-c", line])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    fn run(&mut self, command: &str) -> String {
        if let Some(command) = command.strip_suffix(" &") {
            // Nothing between this process and the program: what is killed below is the program itself.
            let mut child = self
                .shell(&format!("exec {command} 2>&1"))
                .spawn()
                .expect("there is a shell");
            let mut first = String::new();
            let out = child.stdout.take().expect("it is a pipe");
            BufReader::new(out)
                .read_line(&mut first)
                .expect("it says that it is ready");
            self.running.push(child);
            first
        } else if let Some(arguments) = command.strip_prefix("curl -s ") {
            curl(arguments)
        } else {
            let output = self
                .shell(&format!("{{ {command}; }} 2>&1"))
                .output()
                .expect("there is a shell");
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `URL`, or `-d 'TEXT' URL`: the body of the response.
fn curl(arguments: &str) -> String {
    let (text, url) = match arguments.strip_prefix("-d '") {
        Some(rest) => rest.split_once("' ").expect("text, then the URL"),
        None => ("", arguments),
    };
    let (host, path) = url["http://".len()..].split_once('/').expect("a path");
    let method = if arguments.starts_with("-d") {
        "POST"
    } else {
        "GET"
    };
    let mut stream = TcpStream::connect(host).expect("it listens");
    let length = text.len();
    write!(
        stream,
        "{method} /{path} HTTP/1.0\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n{text}"
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(" 200 "), "{head}");
    body.to_owned()
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    listener.local_addr().expect("it is bound").port().to_string()
}

#[test]
fn the_chapter_on_guests_prints_what_it_says() {
    let chapter = fs::read_to_string(Path::new(TOP).join("docs/guests.md")).expect("the chapter is there");
    // By way of what is no number: a free port may have one of these in it.
    let chapter = chapter.replace("7070", "{tcp}").replace("7071", "{http}");
    let chapter = chapter
        .replace("{tcp}", &free_port())
        .replace("{http}", &free_port());
    let steps = steps(&chapter);
    assert!(steps.len() >= 12, "only {} commands were found", steps.len());
    let mut place = Place::new();
    for step in &steps {
        let printed = place.run(&step.command);
        let printed: Vec<&str> = printed.lines().collect();
        assert_eq!(printed, step.shown, "{}", step.command);
    }
}

/// What the book shows for one language holds for the other that is checked in.
#[test]
fn both_languages_say_the_same() {
    let mut place = Place::new();
    for command in [
        "printf 'b a\\n\\n ccc\\tdd' | cellwall run guests/command/LANG/count.wasm --longest",
        "cellwall run guests/command/LANG/count.wasm </dev/null",
        "cellwall run guests/command/LANG/count.wasm --no",
        "mkdir -p f/sub && printf x > f/b && printf '' > f/a && cellwall run --dir f guests/files/LANG/index.wasm f",
        "rm f/INDEX; cellwall run --dir f guests/files/LANG/index.wasm f && cat f/INDEX",
        "cellwall run guests/files/LANG/index.wasm",
        "cellwall run guests/tcp/LANG/shout.wasm serve 7070 1",
        "cellwall run --connect 127.0.0.1:1 guests/tcp/LANG/shout.wasm send 1 text",
        "cellwall run guests/tcp/LANG/shout.wasm",
    ] {
        let rust = place.run(&command.replace("LANG", "rust"));
        let c = place.run(&command.replace("LANG", "c"));
        assert!(!rust.is_empty(), "{command}");
        assert_eq!(rust, c, "{command}");
    }
    for language in ["rust", "c"] {
        let port = free_port();
        let ready = place.run(&format!(
            "cellwall run --listen 127.0.0.1:{port} guests/tcp/{language}/shout.wasm serve {port} 2 &"
        ));
        assert_eq!(ready, format!("listening on port {port}\n"));
        for _ in 0..2 {
            let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
            let sent = "abc, xyz! ".repeat(20_000);
            let mut back = stream.try_clone().expect("one more handle");
            let reader = std::thread::spawn(move || {
                let mut text = String::new();
                back.read_to_string(&mut text).map(|_| text)
            });
            stream.write_all(sent.as_bytes()).expect("it reads");
            stream.shutdown(std::net::Shutdown::Write).expect("it is open");
            let got = reader.join().expect("no panic").expect("it answers");
            assert!(
                got == sent.to_ascii_uppercase(),
                "{language}: {} bytes",
                got.len()
            );
        }
    }
}
