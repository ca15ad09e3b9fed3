//! Buffers that a disk takes without copying.

use bytes::Bytes;
use mdfs_core::chunk::{BLOCK_BYTES, SEGMENT_BYTES};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Where the bytes of a buffer start: a multiple of this in memory, as O_DIRECT wants it.
pub const ALIGNMENT: usize = 4096;

/// A segment, and one block more: a read of a segment's length may start inside a block.
const CAPACITY: usize = SEGMENT_BYTES as usize + BLOCK_BYTES as usize;

/// Lends buffers and takes them back when they are dropped, so that they are zeroed only once.
///
/// Cheap to clone. Never waits: whoever needs a bound on the buffers in use keeps a semaphore.
#[derive(Clone)]
pub struct BufferPool {
    shared: Arc<Shared>,
}

struct Shared {
    idle: Mutex<Vec<Vec<u8>>>,
    most_idle: usize,
}

impl BufferPool {
    /// A pool that keeps up to `most_idle` buffers of a little over 1 MiB while nobody uses them.
    pub fn new(most_idle: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                idle: Mutex::new(Vec::new()),
                most_idle,
            }),
        }
    }

    /// An empty buffer.
    pub fn get(&self) -> AlignedBuffer {
        let idle = self
            .shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let memory = idle.unwrap_or_else(|| vec![0; CAPACITY + ALIGNMENT]);
        let start = match memory.as_ptr().align_offset(ALIGNMENT) {
            offset if offset < ALIGNMENT => offset,
            // Allowed by the contract of `align_offset`; costs the alignment, nothing else.
            _ => 0,
        };
        AlignedBuffer {
            memory,
            start,
            len: 0,
            pool: Arc::downgrade(&self.shared),
        }
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferPool")
            .field("most_idle", &self.shared.most_idle)
            .finish()
    }
}

/// Bytes in memory that a disk can take without copying; at most one segment and one block.
///
/// Goes back to its pool when dropped.
pub struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
    pool: Weak<Shared>,
}

impl AlignedBuffer {
    /// How many more bytes of one segment fit.
    pub fn room(&self) -> usize {
        (CAPACITY - BLOCK_BYTES as usize).saturating_sub(self.len)
    }

    /// Bytes in the buffer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets the content.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Appends as many of `bytes` as fit into one segment, and says how many that were.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        let end = self.start + self.len;
        let (Some(room), Some(bytes)) = (self.memory.get_mut(end..end + count), bytes.get(..count))
        else {
            return 0;
        };
        room.copy_from_slice(bytes);
        self.len += count;
        count
    }

    /// Appends up to `most` bytes that `fill` writes into the room it is given; `fill` says how
    /// many it wrote. The room holds bytes of earlier uses, not zeros.
    ///
    /// # Errors
    /// What `fill` says; then nothing is appended.
    pub fn fill_with<E>(
        &mut self,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let from = self.start + self.len;
        let most = most.min(CAPACITY - self.len);
        let Some(room) = self.memory.get_mut(from..from + most) else {
            return Ok(0);
        };
        let count = fill(room)?.min(most);
        self.len += count;
        Ok(count)
    }

    /// The content, shared without copying. The memory goes back to the pool with the last clone.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        self.memory
            .get(self.start..self.start + self.len)
            .unwrap_or_default()
    }
}

impl std::ops::Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuffer")
            .field("len", &self.len)
            .finish()
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else {
            return;
        };
        let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < pool.most_idle {
            idle.push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_takes_one_segment_and_comes_back() {
        let pool = BufferPool::new(1);
        let mut buffer = pool.get();
        let segment = vec![7; SEGMENT_BYTES as usize + 5];
        assert_eq!(buffer.extend(&segment[..10]), 10);
        assert_eq!(buffer.extend(&segment), SEGMENT_BYTES as usize - 10);
        assert_eq!((buffer.room(), buffer.extend(&[1])), (0, 0));
        let frozen = buffer.freeze();
        assert_eq!(frozen.as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!(frozen, segment[..SEGMENT_BYTES as usize]);
        let address = frozen.as_ptr();
        drop(frozen);
        let again = pool.get();
        assert!(again.is_empty());
        assert_eq!(again.freeze().len(), 0);
        let mut third = pool.get();
        third.extend(&[1]);
        assert_eq!(third.as_ptr(), address);
    }
}
