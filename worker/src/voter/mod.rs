//! The voter of the metadata log, and what it keeps on the disk.

mod storage;
