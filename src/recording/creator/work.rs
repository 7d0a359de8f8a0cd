//! One order: chunks are fetched and checked, files made and put into the permanent store, the
//! manifest last.

use std::path::{Path, PathBuf};

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tracing::warn;

use super::compile::{Made, Plan, PlanSource, compile};
use super::lease::Held;
use super::scratch::Scratch;
use super::{Creator, WorkError};
use crate::config::Form;
use crate::depot::{Checked, DepotError, make_folder};
use crate::recording::ids::RecordingId;
use crate::recording::papers::{self, ChunkEntry, FileEntry, LeftOut, Manifest, Order, Source};

/// A source whose chunks are here.
struct Fetched<'a> {
    source: &'a Source,
    chunks: Vec<PathBuf>,
}

/// Chunks that are fetched at once.
const AT_ONCE: usize = 8;
/// A chunk that isn't what was sent is fetched so often.
const TRIES: u32 = 3;
/// Of pictures of all.
const COMPOSITE: (u32, u32, u32) = (1280, 720, 30);
/// Those who are in it: the worker takes no more. A call has fewer at a time.
const MOST_IN_PICTURE: usize = 128;

// === impl Creator ===

impl Creator {
    /// How many files there are.
    pub(super) async fn work(&self, order: &Order, held: &Held<'_>) -> Result<usize, WorkError> {
        let id = &order.recording;
        if let Some(manifest) = self.manifest(id).await? {
            return Ok(manifest.files.len());
        }
        let scratch = Scratch::make(&self.scratch, id).map_err(WorkError::Scratch)?;
        let mut left_out = Vec::new();
        let mut fetched = Vec::new();
        for source in order.sources.iter().filter(|source| !source.chunks.is_empty()) {
            fetched.push(self.fetch(id, source, &scratch.path, &mut left_out).await?);
        }
        let mut files = Vec::new();
        for (form, whose) in wanted(order, &fetched) {
            let name = name_of(order, whose.map(|fetched| fetched.source), &files);
            let plan = plan(order, (form, whose), &fetched, scratch.path.join(&name));
            let (groups, timeout) = (self.groups.as_ref(), self.rules.timeout);
            let made = compile(&self.program, groups, &plan, &scratch.path, timeout).await;
            match self.best_of(order, made)? {
                Made::File(result) => {
                    let object = own_name(&name);
                    let stored = papers::object(id, &object);
                    let put = self.files.put_file(&stored, &plan.output, held).await?;
                    remove(&plan.output).await;
                    self.metrics.file_bytes.inc_by(put.bytes);
                    let left = result.left_out.iter().map(|left| inside(left, &scratch.path));
                    left_out.extend(left);
                    let source = whose.map(|fetched| fetched.source.source.clone());
                    files.push(result.entry(name, object, form, source, put));
                }
                Made::Nothing(reason) => {
                    let source = whose.map_or("", |fetched| fetched.source.source.as_str());
                    warn!(recording = %id, source, reason, "nothing of it can be shown");
                    left_out.push(LeftOut { file: format!("{source}/"), reason });
                }
            }
        }
        if files.is_empty() {
            let reason = left_out.last().map_or("there is nothing", |left| left.reason.as_str());
            return Err(WorkError::Media(reason.to_owned()));
        }
        left_out.sort_by(|a, b| a.file.cmp(&b.file));
        left_out.dedup();
        self.publish(order, held, files, left_out).await
    }

    /// One whose file can't be made takes nobody else's along, once that was tried twice.
    fn best_of(&self, order: &Order, made: Result<Made, WorkError>) -> Result<Made, WorkError> {
        let was_tried = order.failures > 0 || self.rules.attempts <= 1;
        match made {
            Err(WorkError::Media(reason)) if was_tried => Ok(Made::Nothing(reason)),
            made => made,
        }
    }

    /// What is said here is so from now on. Of two who come here, one is first.
    async fn publish(
        &self,
        order: &Order,
        held: &Held<'_>,
        files: Vec<FileEntry>,
        left_out: Vec<LeftOut>,
    ) -> Result<usize, WorkError> {
        if !held.is_ours().await? {
            self.drop_files(&order.recording, &files).await?;
            return Err(WorkError::Lost);
        }
        let participants =
            order.sources.iter().map(|source| Source { chunks: Vec::new(), ..source.clone() });
        let manifest = Manifest {
            version: papers::VERSION,
            recording: order.recording.clone(),
            subject: order.subject.clone(),
            node: order.node.clone(),
            started_by: order.started_by.clone(),
            started_ms: order.started_ms,
            ended_ms: order.ended_ms,
            participants: participants.collect(),
            files,
            left_out,
        };
        let name = papers::manifest(&order.recording);
        let is_first = self.files.put_new(&name, papers::written(&manifest)).await?;
        if is_first {
            return Ok(manifest.files.len());
        }
        // Also whoever was heard by the store, and did not hear it.
        match self.manifest(&order.recording).await? {
            Some(other) if other == manifest => {}
            _ => self.drop_files(&order.recording, &manifest.files).await?,
        }
        Ok(manifest.files.len())
    }

    /// What isn't needed any more once there is a manifest. The order last: as long as it is there,
    /// somebody comes back.
    pub(super) async fn clean_up(&self, id: &RecordingId) -> Result<(), WorkError> {
        let Some(manifest) = self.manifest(id).await? else { return Ok(()) };
        let mut kept: Vec<String> =
            manifest.files.iter().map(|file| papers::object(id, &file.object)).collect();
        kept.push(papers::manifest(id));
        let there = self.files.list(id.as_str()).await?;
        self.files.delete_these(there.into_iter().filter(|name| !kept.contains(name))).await?;
        self.chunks.delete_all(&format!("{}/{id}", papers::CHUNKS)).await?;
        Ok(self.chunks.delete(&papers::order(id)).await?)
    }

    /// One that can't be read is another version's: the files are made, and not by this one.
    async fn manifest(&self, id: &RecordingId) -> Result<Option<Manifest>, WorkError> {
        let bytes = self.files.get(&papers::manifest(id), papers::MOST).await?;
        let manifest = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        manifest.map_err(|error| WorkError::Interrupted(format!("the manifest: {error}")))
    }

    async fn drop_files(&self, id: &RecordingId, files: &[FileEntry]) -> Result<(), DepotError> {
        self.files.delete_these(files.iter().map(|file| papers::object(id, &file.object))).await
    }

    async fn fetch<'a>(
        &self,
        id: &RecordingId,
        source: &'a Source,
        scratch: &Path,
        left_out: &mut Vec<LeftOut>,
    ) -> Result<Fetched<'a>, WorkError> {
        let fetching: Vec<BoxFuture<'_, _>> = source
            .chunks
            .iter()
            .map(|chunk| self.fetch_chunk(id, chunk, scratch).boxed())
            .collect();
        let fetched: Vec<Result<PathBuf, LeftOut>> =
            stream::iter(fetching).buffered(AT_ONCE).try_collect().await?;
        let mut chunks = Vec::with_capacity(fetched.len());
        for fetched in fetched {
            match fetched {
                Ok(path) => chunks.push(path),
                Err(left) => left_out.push(left),
            }
        }
        Ok(Fetched { source, chunks })
    }

    /// A chunk that is gone or isn't what was sent is left out: the rest is still good.
    async fn fetch_chunk(
        &self,
        id: &RecordingId,
        chunk: &ChunkEntry,
        scratch: &Path,
    ) -> Result<Result<PathBuf, LeftOut>, WorkError> {
        if !papers::is_inside(&chunk.name) {
            let (file, reason) = (chunk.name.clone(), "it has no chunk's name".to_owned());
            return Ok(Err(LeftOut { file, reason }));
        }
        // Its number stays its name: the worker finds out by it what is missing.
        let path = scratch.join(&chunk.name);
        path.parent().map_or(Ok(()), make_folder).map_err(WorkError::Scratch)?;
        let mut reason = String::new();
        for _ in 0..TRIES {
            match self.chunks.fetch(&papers::chunk(id, &chunk.name), &path).await? {
                Some(Checked { sha256, .. }) if sha256 == chunk.sha256 => return Ok(Ok(path)),
                Some(_) => "the checksum is another one".clone_into(&mut reason),
                None => "it isn't in the store".clone_into(&mut reason),
            }
        }
        remove(&path).await;
        warn!(recording = %id, chunk = chunk.name, reason, "a chunk is left out");
        Ok(Err(LeftOut { file: chunk.name.clone(), reason }))
    }
}

/// Which files are to be made, and of whom; none: of all.
fn wanted<'a, 'b>(
    order: &Order,
    fetched: &'b [Fetched<'a>],
) -> Vec<(Form, Option<&'b Fetched<'a>>)> {
    let mut wanted = Vec::new();
    for form in &order.forms {
        match form {
            Form::Tracks => wanted.extend(fetched.iter().map(|one| (Form::Tracks, Some(one)))),
            Form::Composite => wanted.push((Form::Composite, None)),
        }
    }
    wanted
}

fn plan(
    order: &Order,
    (form, whose): (Form, Option<&Fetched<'_>>),
    all: &[Fetched<'_>],
    output: PathBuf,
) -> Plan {
    let source = |fetched: &Fetched<'_>| PlanSource {
        name: fetched.source.name.clone(),
        chunks: fetched.chunks.clone(),
    };
    let all = &all[..all.len().min(MOST_IN_PICTURE)];
    let sources = match whose {
        Some(one) => vec![source(one)],
        None => all.iter().map(source).collect(),
    };
    let plan = Plan::new(output, sources);
    if form != Form::Composite {
        return plan;
    }
    let place = |source: &str| all.iter().position(|one| one.source.source == source);
    let turns = order.speakers.iter();
    let turns = turns.filter_map(|turn| Some((turn.at_us, place(&turn.source)?)));
    plan.composite(COMPOSITE, turns)
}

/// Letters and digits of the name, so that it is one on every system: `ann.mp4`.
fn name_of(order: &Order, source: Option<&Source>, before: &[FileEntry]) -> String {
    let name = source.map_or("composite", |source| source.name.as_str());
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).take(40).collect();
    let mut name = name.trim_matches('-').to_owned();
    if name.is_empty() {
        name = source.map_or(order.subject.kind(), |source| source.source.as_str()).to_owned();
    }
    let is_taken = |name: &str| before.iter().any(|file| file.name == name);
    let mut full = format!("{name}.mp4");
    let mut number = 2;
    while is_taken(&full) {
        full = format!("{name}-{number}.mp4");
        number += 1;
    }
    full
}

/// Nobody else's: what two make at once are two objects.
fn own_name(name: &str) -> String {
    let stem = name.trim_end_matches(".mp4");
    let random: String =
        crate::identity::unique('x').unwrap_or_default().chars().take(13).collect();
    format!("{stem}.{random}.mp4")
}

/// A path in the scratch folder, as it is in the store.
fn inside(left: &LeftOut, scratch: &Path) -> LeftOut {
    let path = Path::new(&left.file);
    let file = path.strip_prefix(scratch).unwrap_or(path).display().to_string();
    LeftOut { file, reason: left.reason.clone() }
}

async fn remove(path: &Path) {
    // Not there, or removed with its folder.
    let _ = tokio::fs::remove_file(path).await;
}

// === impl Outcome ===

impl super::compile::Outcome {
    fn entry(
        self,
        name: String,
        object: String,
        form: Form,
        source: Option<String>,
        put: Checked,
    ) -> FileEntry {
        FileEntry {
            name,
            object,
            form,
            source,
            bytes: put.bytes,
            sha256: put.sha256,
            begin_ms: self.begin_ms,
            duration_ms: self.duration_ms,
            video: self.video,
            audio: self.audio,
            width: self.width,
            height: self.height,
            gaps: self.gaps,
        }
    }
}
