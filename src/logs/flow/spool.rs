//! A lane's kept records until their turn comes: in memory first, then in a temporary file, so that memory stays bounded whatever the
//! number of lanes. The file is unlinked from the start; nothing of the logs stays on the disk.

use crate::logs::model::{LogOrigin, Record};
use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    sync::Arc,
};

/// What a record takes beside its bytes.
const OVERHEAD: usize = 256;
/// Each of many lanes has one.
const BUFFER: usize = 16 << 10;

enum Disk {
    None,
    Writing(BufWriter<File>),
    Reading(BufReader<File>),
}

/// First in, first out.
pub struct Spool {
    origin: Arc<LogOrigin>,
    memory: VecDeque<Record>,
    disk: Disk,
    on_disk: u64,
}

impl Spool {
    /// For the records of one origin.
    pub fn new(origin: Arc<LogOrigin>) -> Self {
        Self { origin, memory: VecDeque::new(), disk: Disk::None, on_disk: 0 }
    }

    /// Puts a record at the end: in memory as long as there is room, which all spools share.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn push(&mut self, record: Record, room: &mut usize) -> io::Result<()> {
        let size = record.size() + OVERHEAD;
        if matches!(self.disk, Disk::None) && size <= *room {
            *room -= size;
            self.memory.push_back(record);
            return Ok(());
        }
        if matches!(self.disk, Disk::None) {
            self.disk = Disk::Writing(BufWriter::with_capacity(BUFFER, tempfile::tempfile()?));
        }
        if let Disk::Writing(file) = &mut self.disk {
            write(file, &record)?;
            self.on_disk += 1;
        }
        Ok(())
    }

    /// Takes the first; after the first `pop` nothing is pushed any more.
    ///
    /// # Errors
    /// The temporary file cannot be read back.
    pub fn pop(&mut self) -> io::Result<Option<Record>> {
        if let Some(record) = self.memory.pop_front() {
            return Ok(Some(record));
        }
        if self.on_disk == 0 {
            return Ok(None);
        }
        if let Disk::Writing(_) = self.disk
            && let Disk::Writing(writer) = std::mem::replace(&mut self.disk, Disk::None)
        {
            let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.seek(SeekFrom::Start(0))?;
            self.disk = Disk::Reading(BufReader::with_capacity(BUFFER, file));
        }
        let Disk::Reading(file) = &mut self.disk else { return Ok(None) };
        self.on_disk -= 1;
        read(file, &self.origin).map(Some)
    }
}

fn write(out: &mut impl Write, record: &Record) -> io::Result<()> {
    let nanos = record.at.map_or(i128::MIN, Timestamp::as_nanosecond);
    out.write_all(&nanos.to_le_bytes())?;
    out.write_all(&record.sequence.to_le_bytes())?;
    out.write_all(&[u8::from(record.nearby)])?;
    out.write_all(&(record.tail.len() as u32).to_le_bytes())?;
    for line in std::iter::once(&record.head).chain(&record.tail) {
        out.write_all(&(line.len() as u32).to_le_bytes())?;
        out.write_all(line)?;
    }
    Ok(())
}

fn read(input: &mut impl Read, origin: &Arc<LogOrigin>) -> io::Result<Record> {
    let nanos = i128::from_le_bytes(exact(input)?);
    let sequence = u64::from_le_bytes(exact(input)?);
    let [nearby] = exact(input)?;
    let tails = u32::from_le_bytes(exact(input)?);
    let head = line(input)?;
    let tail = (0..tails).map(|_| line(input)).collect::<io::Result<_>>()?;
    Ok(Record { at: Timestamp::from_nanosecond(nanos).ok(), origin: origin.clone(), sequence, head, tail, nearby: nearby != 0 })
}

fn exact<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn line(input: &mut impl Read) -> io::Result<Bytes> {
    let length = u32::from_le_bytes(exact(input)?) as usize;
    let mut bytes = BytesMut::zeroed(length);
    input.read_exact(&mut bytes)?;
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_went_in_from_memory_and_from_disk() {
        for mut room in [0, 600, 1 << 20] {
            let mut spool = Spool::new(Arc::new(LogOrigin::default()));
            for i in 0..20u64 {
                let at = (i % 3 != 0).then(|| Timestamp::from_nanosecond(i128::from(i) * 7).ok()).flatten();
                let tail = vec![Bytes::from(format!("tail {i}")); (i % 2) as usize];
                let record = Record {
                    at,
                    origin: Arc::new(LogOrigin::default()),
                    sequence: i,
                    head: Bytes::from(format!("head {i}")),
                    tail,
                    nearby: i % 5 == 0,
                };
                spool.push(record, &mut room).expect("a temporary file");
            }
            let back: Vec<Record> = std::iter::from_fn(|| spool.pop().expect("a temporary file")).collect();
            assert_eq!(back.len(), 20);
            for (i, r) in back.iter().enumerate() {
                assert_eq!(
                    (r.sequence, r.head.clone(), r.tail.len(), r.nearby),
                    (i as u64, Bytes::from(format!("head {i}")), i % 2, i % 5 == 0)
                );
                assert_eq!(r.at.is_some(), i % 3 != 0);
            }
        }
    }
}
