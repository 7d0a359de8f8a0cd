//! The two file formats of recordings, written and read: Matroska for chunks, MP4 for what is
//! made of them. All pure: bytes and tables.
//!
//! Ours rather than libavformat's. Its Matroska muxer holds a cluster back until the next one
//! begins, and counts in whole milliseconds; its MP4 muxer has one sample description a track,
//! where a sender that changes its size needs several, and writes a file of an hour twice to put
//! the index in front. And chunks come from strangers: what reads them is small and fuzzed.

pub mod avc;
pub mod ebml;
pub mod matroska;
pub mod mp4;
pub mod opus;
