//! Sources of a feed: a directory, a zip file, or the program itself. Opens files by name, bounded in
//! size; what is in them is read elsewhere.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use hashbrown::HashMap;
use zip::{CompressionMethod, ZipArchive};

use crate::error::LoadError;
use crate::limits::{TABLE_BYTES_MAX, ZIP_BYTES_MAX};

/// The file that tells where in a zip the feed lies; every feed has one.
const LANDMARK: &str = "stops.txt";

pub(crate) enum Source {
    Directory(PathBuf),
    Zip {
        path: PathBuf,
        archive: Box<ZipArchive<BufReader<File>>>,
        /// The place of each file by its name, with slashes whatever wrote it.
        names: HashMap<String, usize>,
        /// The one folder that holds the feed, with its slash; empty at the top.
        folder: String,
    },
    Embedded(&'static [(&'static str, &'static str)]),
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Source, LoadError> {
        let shown = path.display().to_string();
        let metadata = std::fs::metadata(path).map_err(|e| LoadError::whole(&shown, e.to_string()))?;
        if metadata.is_dir() {
            let folder = directory_of(path).map_err(|what| LoadError::whole(&shown, what))?;
            return Ok(Source::Directory(folder));
        }
        if metadata.len() > ZIP_BYTES_MAX {
            return Err(LoadError::whole(shown, format!("larger than {ZIP_BYTES_MAX} bytes")));
        }
        let file = File::open(path).map_err(|e| LoadError::whole(&shown, e.to_string()))?;
        let archive = ZipArchive::new(BufReader::new(file))
            .map_err(|e| LoadError::whole(&shown, format!("neither a directory nor a zip file: {e}")))?;
        let names = names_of(&archive);
        let folder = folder_of(names.keys()).map_err(|what| LoadError::whole(&shown, what))?;
        Ok(Source::Zip { path: path.to_owned(), archive: Box::new(archive), names, folder })
    }

    /// The name of a file of this feed, for messages.
    pub(crate) fn shown(&self, name: &str) -> String {
        match self {
            Source::Directory(path) => path.join(name).display().to_string(),
            Source::Zip { path, folder, .. } => path.join(format!("{folder}{name}")).display().to_string(),
            Source::Embedded(_) => name.to_owned(),
        }
    }

    /// Opens a file; `None` where the feed has none of that name.
    pub(crate) fn read(&mut self, name: &str) -> Result<Option<Box<dyn Read + '_>>, LoadError> {
        let shown = self.shown(name);
        let unreadable = |e: String| LoadError::whole(&shown, format!("cannot be read: {e}"));
        match self {
            Source::Directory(path) => match File::open(path.join(name)) {
                Ok(file) => Ok(Some(Box::new(Bounded::new(file)))),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(unreadable(e.to_string())),
            },
            Source::Zip { archive, names, folder, .. } => {
                let Some(index) = names.get(&format!("{folder}{name}")) else { return Ok(None) };
                let file = archive.by_index(*index).map_err(|e| unreadable(e.to_string()))?;
                let method = file.compression();
                if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
                    return Err(unreadable(format!(
                        "it is packed by {method}, and files that are stored or deflated can be read: pack it again (zip -r), or unpack it"
                    )));
                }
                Ok(Some(Box::new(Bounded::new(file))))
            }
            Source::Embedded(files) => {
                let file = files.iter().find(|(file, _)| *file == name);
                Ok(file.map(|(_, text)| Box::new(text.as_bytes()) as Box<dyn Read>))
            }
        }
    }
}

/// A directory is the feed, or has the one folder that is.
fn directory_of(path: &Path) -> Result<PathBuf, String> {
    if path.join(LANDMARK).exists() {
        return Ok(path.to_owned());
    }
    let entries = std::fs::read_dir(path).map_err(|e| e.to_string())?;
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found = folders.filter(|folder| folder.join(LANDMARK).is_file());
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(format!("{LANDMARK} is in more than one folder")),
        (Some(folder), None) => Ok(folder),
        // What is missing is said by its name.
        (None, _) => Ok(path.to_owned()),
    }
}

fn names_of(archive: &ZipArchive<BufReader<File>>) -> HashMap<String, usize> {
    // A name that cannot be read is none that is looked for.
    let names = archive.file_names().enumerate().filter_map(|(index, name)| Some((name.ok()?, index)));
    names.map(|(name, index)| (name.replace('\\', "/"), index)).collect()
}

/// A feed lies at the top of its zip or in one top-level folder.
fn folder_of<'n>(names: impl Iterator<Item = &'n String>) -> Result<String, String> {
    let mut found: Option<&str> = None;
    for name in names {
        let Some(folder) = name.strip_suffix(LANDMARK) else { continue };
        if folder.is_empty() {
            return Ok(String::new());
        }
        let top_level = folder.ends_with('/') && folder.matches('/').count() == 1;
        if !top_level || folder == "__MACOSX/" {
            continue;
        }
        if found.replace(folder).is_some() {
            return Err(format!("{LANDMARK} is in more than one folder"));
        }
    }
    found.map(str::to_owned).ok_or_else(|| format!("has no {LANDMARK}, at the top or in one folder"))
}

/// Reads up to the limit of a table and then fails, so that a small zip cannot unpack into all of the memory.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Bounded<R> {
    fn new(inner: R) -> Bounded<R> {
        Bounded { inner, left: TABLE_BYTES_MAX }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let what = format!("more than {TABLE_BYTES_MAX} bytes");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_never_ends_is_cut_off() {
        let mut bounded = Bounded { inner: io::repeat(b'x'), left: 1_000 };
        let mut sink = Vec::new();
        let error = bounded.read_to_end(&mut sink).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(sink.len() <= 1_000);
    }
}
