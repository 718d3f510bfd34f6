//! Single acts, as they are named on the command line: `tcp-connect=127.0.0.1:80`, `mkdir=/d/x`. Each prints a
//! line with its answer. What a test grants or denies is one of these.

use crate::files::granted;
use crate::tcp::{self, word};
use crate::udp;
use std::net::SocketAddr;
use wasip2::cli::environment;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags as D, ErrorCode, NewTimestamp, OpenFlags as O, PathFlags as P,
};

pub fn run(acts: &[&str]) {
    for act in acts {
        let (name, on) = act.split_once('=').unwrap_or((act, ""));
        println!("{name} {}", answer(name, on));
    }
}

fn answer(name: &str, on: &str) -> String {
    let address = || on.parse::<SocketAddr>().expect("an address");
    match name {
        "tcp" => word(tcp::create()).to_owned(),
        "tcp-connect" => word(tcp::try_connect(address())).to_owned(),
        "tcp-bind" => word(tcp::try_bind(address(), false)).to_owned(),
        "tcp-listen" => word(tcp::try_bind(address(), true)).to_owned(),
        "udp" => word(udp::create()).to_owned(),
        "udp-bind" => word(udp::try_bind(address())).to_owned(),
        "udp-send" => word(udp::try_send(address(), false)).to_owned(),
        "udp-connect" => word(udp::try_send(address(), true)).to_owned(),
        "dns" => word(tcp::try_resolve(on)).to_owned(),
        "http" => crate::http::try_get(on),
        "env" => environment::get_environment().len().to_string(),
        "dirs" => get_directories().len().to_string(),
        _ => match beneath(name, on) {
            Ok(()) => "ok".to_owned(),
            Err(code) => code.name().to_owned(),
        },
    }
}

/// An act on `/GRANTED/PATH`.
fn beneath(name: &str, on: &str) -> Result<(), ErrorCode> {
    let (folder, path) = on[1..].split_once('/').expect("a folder and a path in it");
    let dir: Descriptor = granted(&format!("/{folder}"));
    let open = |open, flags| dir.open_at(P::SYMLINK_FOLLOW, path, open, flags).map(drop);
    match name {
        "read" => open(O::empty(), D::READ),
        "write" => open(O::empty(), D::WRITE),
        "create" => open(O::CREATE, D::WRITE),
        "truncate" => open(O::TRUNCATE, D::WRITE),
        "mkdir" => dir.create_directory_at(path),
        "rmdir" => dir.remove_directory_at(path),
        "unlink" => dir.unlink_file_at(path),
        "rename" => dir.rename_at(path, &dir, "renamed"),
        "link" => dir.link_at(P::empty(), path, &dir, "linked"),
        "symlink" => dir.symlink_at("file", path),
        "times" => dir.set_times_at(P::empty(), path, NewTimestamp::Now, NewTimestamp::Now),
        "stat" => dir.stat_at(P::empty(), path).map(drop),
        _ => panic!("no such act: {name}"),
    }
}
