//! A disk that fails on demand.

use mdfs_worker::disk::{DirEntry, Disk, DiskFile, DiskLock, Metadata, RealDisk, Space, Writes};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// A real disk that says what it is told to say.
#[derive(Debug)]
pub(crate) struct FaultyDisk {
    real: RealDisk,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    full: AtomicBool,
    failing_sync: AtomicBool,
    no_handles: AtomicBool,
    hanging: Mutex<bool>,
    released: Condvar,
}

impl FaultyDisk {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            real: RealDisk::new(root, false),
            faults: Arc::default(),
        }
    }

    /// From now on nothing fits.
    pub(crate) fn fill(&self, full: bool) {
        self.faults.full.store(full, Ordering::SeqCst);
    }

    /// From now on every sync fails with an I/O error.
    pub(crate) fn fail_syncs(&self) {
        self.faults.failing_sync.store(true, Ordering::SeqCst);
    }

    /// Whether the process has no handle left for a file.
    pub(crate) fn take_handles(&self, taken: bool) {
        self.faults.no_handles.store(taken, Ordering::SeqCst);
    }

    /// Whether reads hang until it is said again that they do not.
    pub(crate) fn hang(&self, hanging: bool) {
        *self.faults.hanging.lock().unwrap() = hanging;
        self.faults.released.notify_all();
    }
}

impl Faults {
    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn sync(&self) -> io::Result<()> {
        if self.failing_sync.load(Ordering::SeqCst) {
            Err(io::Error::from_raw_os_error(5))
        } else {
            Ok(())
        }
    }

    fn wait(&self) {
        let hanging = self.hanging.lock().unwrap();
        drop(
            self.released
                .wait_while(hanging, |hanging| *hanging)
                .unwrap(),
        );
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path, writes: Writes) -> io::Result<Arc<dyn DiskFile>> {
        self.faults.room()?;
        let file = self.real.create(path, writes)?;
        Ok(Arc::new(FaultyFile {
            file,
            faults: Arc::clone(&self.faults),
        }))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Arc<dyn DiskFile>> {
        if self.faults.no_handles.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(24));
        }
        let file = self.real.open(path, write)?;
        Ok(Arc::new(FaultyFile {
            file,
            faults: Arc::clone(&self.faults),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.real.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.real.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.faults.sync()?;
        self.real.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.real.list(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.real.metadata(path)
    }

    fn space(&self) -> io::Result<Space> {
        self.real.space()
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        self.real.lock(path)
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn DiskFile>,
    faults: Arc<Faults>,
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.faults.wait();
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.faults.room()?;
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.sync()?;
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn allocate(&self, len: u64) -> io::Result<bool> {
        self.faults.room()?;
        self.file.allocate(len)
    }
}
