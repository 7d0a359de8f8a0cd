//! Chunks into files, by the real binary; judged by ffprobe and ffmpeg.

mod hour;
mod tool;
mod track;
