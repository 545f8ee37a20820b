//! x
use super::*;
/// x
#[derive(Debug, Clone)]
pub struct OsFiles;
impl File for () {
    fn size(&self) -> io::Result<u64> { unimplemented!() }
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> { unimplemented!() }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> { unimplemented!() }
    fn allocate(&self, _: u64) -> io::Result<()> { unimplemented!() }
    fn sync(&self) -> io::Result<()> { unimplemented!() }
    fn settled(&self, _: Duration) -> io::Result<bool> { unimplemented!() }
}
impl Files for OsFiles {
    type File = ();
    type Lock = ();
    fn display(&self, _: &str) -> String { unimplemented!() }
    fn list(&self, _: &str) -> io::Result<Option<Vec<String>>> { unimplemented!() }
    fn make_dir(&self, _: &str) -> io::Result<()> { unimplemented!() }
    fn open_read(&self, _: &str) -> io::Result<Option<()>> { unimplemented!() }
    fn open_write(&self, _: &str) -> io::Result<()> { unimplemented!() }
    fn create(&self, _: &str) -> io::Result<()> { unimplemented!() }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> { unimplemented!() }
    fn remove(&self, _: &str) -> io::Result<()> { unimplemented!() }
    fn remove_dir(&self, _: &str) -> io::Result<()> { unimplemented!() }
    fn sync_dir(&self, _: &str) -> io::Result<()> { unimplemented!() }
    fn sync_all(&self) -> io::Result<()> { unimplemented!() }
    fn lock(&self, _: &str, _: bool) -> io::Result<Result<(), String>> { unimplemented!() }
}
