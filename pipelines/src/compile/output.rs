//! The file that is written: beside its name until it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::CompileError;

/// Written to `NAME.part`. Dropped before [`Output::finish`] it leaves nothing.
#[derive(Debug)]
pub struct Output {
    file: Option<BufWriter<File>>,
    part: PathBuf,
    path: PathBuf,
    bytes: u64,
}

// === impl Output ===

impl Output {
    pub fn create(path: &Path) -> Result<Self, CompileError> {
        let part = beside(path, "part");
        let file = File::create(&part).map_err(|error| CompileError::written(&part, &error))?;
        let file = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { file, part, path: path.to_owned(), bytes: 0 })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CompileError> {
        self.bytes += bytes.len() as u64;
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        written.map_err(|error| CompileError::written(&self.part, &error))
    }

    /// Writes over what the file begins with.
    pub fn write_head(&mut self, head: &[u8]) -> Result<(), CompileError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file
            .seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(head))
            .and_then(|()| file.seek(SeekFrom::End(0)));
        written.map(drop).map_err(|error| CompileError::written(&self.part, &error))
    }

    /// On the disk, then under its name. Gives its size.
    pub fn finish(mut self) -> Result<u64, CompileError> {
        self.publish().map_err(|error| CompileError::written(&self.path, &error))?;
        Ok(self.bytes)
    }

    fn publish(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&self.part, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // Under its name it isn't found here any more.
        let _ = fs::remove_file(&self.part);
    }
}

/// The path with an ending more.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}
