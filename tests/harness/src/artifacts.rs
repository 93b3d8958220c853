//! Where a proxy's files stand: kept if anything in this process failed, removed otherwise.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::{fs, io, panic, process};

static FAILED: AtomicBool = AtomicBool::new(false);
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

/// A compiled module: `dist/<name>.wasm`, or in the folder named by `PORTCULLIS_DIST`. A missing one is a failure.
pub fn module(name: &str) -> PathBuf {
    let dist =
        std::env::var_os("PORTCULLIS_DIST").map_or_else(|| root().join("dist"), PathBuf::from);
    let path = dist.join(format!("{name}.wasm"));
    assert!(
        path.is_file(),
        "{} is missing; run `make build`",
        path.display()
    );
    path
}

/// One proxy's folder.
#[derive(Debug)]
pub struct Artifacts(PathBuf);

impl Artifacts {
    /// A new folder `tests/artifacts/<name>-<process>-<number>`.
    pub fn create(name: &str) -> io::Result<Self> {
        watch_for_failure();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = root().join(format!("tests/artifacts/{name}-{}-{number}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Artifacts {
    fn drop(&mut self) {
        if FAILED.load(Ordering::Relaxed) {
            eprintln!("kept: {}", self.0.display());
        } else {
            // Left-over files do no harm.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A proxy is shared by many tests, so any panic in this process keeps its files.
fn watch_for_failure() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            FAILED.store(true, Ordering::Relaxed);
            print(info);
        }));
    });
}
