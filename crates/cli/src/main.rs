//! The program `peerscope`.

fn main() {}
