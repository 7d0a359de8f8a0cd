//! Which folders are outside of the one that a sandboxed service may write to. Pure.

use std::path::Path;

use super::Config;

// === impl Config ===

impl Config {
    /// Keys, with their folders, of what is written outside of `state`. Where a database is named,
    /// its folder is.
    pub fn outside(&self, state: &Path) -> Vec<(&'static str, &Path)> {
        let recording = &self.recording;
        let folders = [
            ("server.state_directory", self.server.state_directory.as_deref()),
            ("accounts.database", self.accounts.database.as_deref().and_then(Path::parent)),
            ("events.folder", self.events.folder.as_deref()),
            ("analytics.database", self.analytics.database.as_deref().and_then(Path::parent)),
            ("analytics.dump_store.folder", self.analytics.dump_store.folder.as_deref()),
            ("recording.spool", recording.spool.as_deref()),
            ("recording.scratch", recording.scratch.as_deref()),
            ("recording.chunks.folder", recording.chunks.folder.as_deref()),
            ("recording.files.folder", recording.files.folder.as_deref()),
        ];
        let named = folders.into_iter().filter_map(|(key, folder)| Some((key, folder?)));
        named.filter(|(_, folder)| folder.is_absolute() && !folder.starts_with(state)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_outside_of_the_state_directory_is_named() {
        let text = "[events]\nfolder = \"/var/lib/stentor/log\"\n\
                    [analytics]\ndatabase = \"/srv/a/rollups.db\"\n\
                    [recording.chunks]\nfolder = \"/var/lib/stentor-2\"\n\
                    [recording.files]\nfolder = \"relative\"\n";
        let config = Config::parse(text, Path::new("stentor.toml")).unwrap();
        let expected = [
            ("analytics.database", Path::new("/srv/a")),
            ("recording.chunks.folder", Path::new("/var/lib/stentor-2")),
        ];
        assert_eq!(config.outside(Path::new("/var/lib/stentor")), expected);
    }
}
