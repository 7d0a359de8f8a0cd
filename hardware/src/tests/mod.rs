//! Tests on real media, made by encoding synthetic pictures in this process.

mod decoding;
mod encoding;
mod garbage;
mod gpu;
mod ladder;
mod media;
mod pictures;
mod tables;
