//! FFmpeg's log: kept out of stderr, and its last words kept for error texts.
//!
//! An error code of FFmpeg says "Operation not permitted"; the line it logged before says
//! "Cannot load libcuda.so.1". So error lines are remembered per thread, and whoever turns a
//! code into an error takes them along.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_int, c_void};

use ffmpeg::ffi as sys;

/// Lines kept per thread; a broken stream can log hundreds.
const KEPT_LINES: usize = 4;

thread_local! {
    static LAST_WORDS: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// Forgets what this thread logged so far. Called before an operation whose words matter.
pub(crate) fn forget() {
    LAST_WORDS.with_borrow_mut(VecDeque::clear);
}

/// What FFmpeg logged as errors on this thread since [`forget`], as one line.
pub(crate) fn last_words() -> String {
    LAST_WORDS.with_borrow_mut(|lines| lines.drain(..).collect::<Vec<_>>().join("; "))
}

/// An error's text, with FFmpeg's last words where it had any.
pub(crate) fn explain(error: super::Error) -> String {
    match last_words() {
        words if words.is_empty() => error.to_string(),
        words => format!("{error} ({words})"),
    }
}

pub(super) fn install() {
    // The type of a variable argument list differs between processors; elsewhere than on
    // x86-64 the lines go to stderr and error texts do without them.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the callback has the signature that FFmpeg states and is reentrant.
    unsafe {
        sys::av_log_set_callback(Some(take_line));
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: sets a number.
    unsafe {
        sys::av_log_set_level(sys::AV_LOG_FATAL);
    }
}

#[cfg(target_arch = "x86_64")]
unsafe extern "C" fn take_line(
    context: *mut c_void,
    level: c_int,
    format: *const c_char,
    arguments: *mut sys::__va_list_tag,
) {
    if level > sys::AV_LOG_ERROR {
        return;
    }
    let mut line: [c_char; 512] = [0; 512];
    // 0: without the "[libx264 @ 0x…]" in front, which says nothing to an operator.
    let mut prefix: c_int = 0;
    // SAFETY: FFmpeg handed us context, format and arguments for exactly this call, and the
    // buffer has the stated size and is terminated by the callee.
    let text = unsafe {
        sys::av_log_format_line2(
            context,
            level,
            format,
            arguments,
            line.as_mut_ptr(),
            line.len() as c_int,
            &mut prefix,
        );
        CStr::from_ptr(line.as_ptr())
    };
    let text = text.to_string_lossy().trim().to_owned();
    if text.is_empty() {
        return;
    }
    tracing::debug!(target: "ffmpeg", "{text}");
    // A thread that is ending has no place to keep lines any more.
    let _ = LAST_WORDS.try_with(|lines| {
        let mut lines = lines.borrow_mut();
        if lines.back() != Some(&text) {
            lines.push_back(text);
        }
        if lines.len() > KEPT_LINES {
            lines.pop_front();
        }
    });
}
