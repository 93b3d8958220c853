//! The exporter of records that are encoded when they are pushed.
//!
//! A generic exporter is compiled with the filter that uses it, for speed. None of this runs often enough for that: here it
//! is compiled with the kit, to be small.

use std::rc::Rc;

use crate::exchange::{CalloutAnswer, CalloutId, Worker};

use super::{Encode, Exporter, Plan, Pushed};

/// An exporter of encoded records.
pub struct ByteExporter(Exporter<Box<[u8]>>);

impl ByteExporter {
    /// See [`Exporter::new`].
    #[inline(never)]
    pub fn new(plan: Rc<Plan>, encoders: Vec<Box<dyn Encode<Box<[u8]>>>>) -> Self {
        Self(Exporter::new(plan, encoders))
    }

    pub fn plan(&self) -> &Plan {
        self.0.plan()
    }

    /// See [`Exporter::push`].
    #[inline(never)]
    pub fn push(&self, record: Box<[u8]>, now: u64) -> Pushed {
        self.0.push(record, now)
    }

    /// See [`Exporter::tick`].
    #[inline(never)]
    pub fn tick(&self, worker: &mut dyn Worker) {
        self.0.run(false, worker);
    }

    /// See [`Exporter::answered`].
    #[inline(never)]
    pub fn answered(&self, id: CalloutId, answer: &CalloutAnswer, worker: &mut dyn Worker) -> bool {
        self.0.take(id, answer, worker)
    }
}

impl Drop for ByteExporter {
    // Here, so that what an exporter's end does is compiled here, too.
    #[inline(never)]
    fn drop(&mut self) {
        self.0.leave();
    }
}
