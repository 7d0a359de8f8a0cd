//! Chunks into files, by the real binary; judged by ffprobe and ffmpeg.

mod composite;
mod hour;
mod tool;
mod track;
