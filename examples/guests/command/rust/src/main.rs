//! Counts the lines, words and bytes of standard input; with `--longest`, says the longest word too.

use std::io::Read;
use std::process::exit;

fn main() {
    let mut longest = false;
    for argument in std::env::args().skip(1) {
        if argument != "--longest" {
            eprintln!("count: unknown option {argument}");
            exit(1);
        }
        longest = true;
    }
    let label = std::env::var("LABEL").unwrap_or_else(|_| "stdin".to_owned());
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).expect("standard input can be read");
    let words: Vec<&[u8]> = input.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    let lines = input.iter().filter(|byte| **byte == b'\n').count();
    println!("{label}: {lines} lines, {} words, {} bytes", words.len(), input.len());
    if longest {
        // Of several, the first.
        let word = words.iter().rev().max_by_key(|word| word.len()).copied().unwrap_or_default();
        println!("longest: {}", String::from_utf8_lossy(word));
    }
}
