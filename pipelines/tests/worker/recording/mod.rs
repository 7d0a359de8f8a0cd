//! Chunks, as ffprobe and ffmpeg see them.

mod disk;
pub mod media;
mod sources;
mod turns;
