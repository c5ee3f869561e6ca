//! Files that are written whole or not at all: what was there before stays until the new one is on the disk.

use anyhow::{Context, ensure};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file that can be written, and is not yet: what was there before is there until [`Whole::put`] has ended.
#[derive(Debug)]
pub(crate) struct Whole {
    path: PathBuf,
    to: To,
}

#[derive(Debug)]
enum To {
    /// A pipe or a device, which is written to itself.
    Itself(File),
    /// What is written, and takes the place of what. Until then there is no such file, so that a run that is interrupted
    /// leaves none.
    Replaces(PathBuf, PathBuf),
}

impl Whole {
    /// Makes sure that it can be written, before the work is done whose result it is for.
    ///
    /// # Errors
    /// The directory is not there or can't be written to, or the path is a directory.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let writing = || format!("writing {}", path.display());
        ensure!(!path.is_dir(), "{}: it is a directory", writing());
        let path = path.to_owned();
        if path.exists() && !path.is_file() {
            let file = File::options().write(true).open(&path).with_context(writing)?;
            return Ok(Self { path, to: To::Itself(file) });
        }
        // A link stays one: what it leads to is replaced.
        let old = path.canonicalize().unwrap_or_else(|_| path.clone());
        let mut name = old.file_name().with_context(writing)?.to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let new = old.with_file_name(name);
        File::create(&new).and_then(|_| fs::remove_file(&new)).with_context(writing)?;
        Ok(Self { path, to: To::Replaces(new, old) })
    }

    /// Writes it.
    ///
    /// # Errors
    /// It can't be written, as on a full disk: what was there before is there still.
    pub(crate) fn put(self, bytes: &[u8]) -> anyhow::Result<()> {
        let put = || match &self.to {
            To::Itself(file) => (&*file).write_all(bytes),
            To::Replaces(new, old) => {
                let written = File::create(new).and_then(|mut file| {
                    file.write_all(bytes)?;
                    file.sync_all()?;
                    fs::rename(new, old)
                });
                written.inspect_err(|_| drop(fs::remove_file(new)))
            }
        };
        put().with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Writes a file, whole or not at all.
///
/// # Errors
/// It can't be written: what was there before is there still.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    Whole::open(path)?.put(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
        let path = path.join(format!("files-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for the test");
        path
    }

    #[test]
    fn what_is_not_put_leaves_the_old_file_and_nothing_else() {
        let directory = directory("old");
        let path = directory.join("page.html");
        fs::write(&path, "old").expect("it is written");
        let _whole = Whole::open(&path).expect("it can be written");
        let left: Vec<_> = fs::read_dir(&directory).expect("it is there").collect();
        assert_eq!((left.len(), fs::read_to_string(&path).expect("it is there").as_str()), (1, "old"));
        write(&path, b"new").expect("it can be written");
        let left: Vec<_> = fs::read_dir(&directory).expect("it is there").collect();
        assert_eq!((left.len(), fs::read_to_string(&path).expect("it is there").as_str()), (1, "new"));
        fs::remove_dir_all(&directory).expect("it is removed");
    }

    #[test]
    fn what_can_not_be_written_is_named() {
        let directory = directory("none");
        for path in [directory.clone(), directory.join("nowhere/page.html")] {
            let refused = format!("{:#}", Whole::open(&path).expect_err("it can't be written"));
            assert!(refused.starts_with(&format!("writing {}: ", path.display())), "{refused}");
        }
        fs::remove_dir_all(&directory).expect("it is removed");
    }
}
