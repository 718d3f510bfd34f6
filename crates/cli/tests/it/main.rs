//! All tests of the command and of the script runner, as one binary.

mod artifact;
mod chapter;
mod clients;
mod command;
mod components;
mod denied;
mod escapes;
mod golden;
mod guests;
mod http2;
mod link;
mod link_graphs;
mod process;
mod profile;
mod programs;
mod serve;
mod spec;
mod vectors;
mod wast;
mod web;
