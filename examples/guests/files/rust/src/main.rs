//! Lists the files of a folder with their sizes, and writes the list into the folder as `INDEX`.

use std::fs;
use std::io::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: index FOLDER");
        return ExitCode::FAILURE;
    };
    match index(&folder) {
        Ok(list) => {
            print!("{list}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("index: {folder}: {}", error.kind());
            ExitCode::FAILURE
        }
    }
}

fn index(folder: &str) -> Result<String, Error> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let about = entry.metadata()?;
        if about.is_file() && name != "INDEX" {
            rows.push((name, about.len()));
        }
    }
    rows.sort();
    let list: String = rows.iter().map(|(name, size)| format!("{size:>8} {name}\n")).collect();
    fs::write(format!("{folder}/INDEX"), &list)?;
    Ok(list)
}
