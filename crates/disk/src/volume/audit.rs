//! An audit of an open volume, for tests: whether what it counts is what there is.

use super::{Volume, read::memory_for};
use crate::{
    format::{page::Page, record::Kind},
    geometry::BLOCK,
    log::{Log, audit::Live},
    store::Store,
};
use cofferdam_linux::aligned::AlignedBuffer;

impl<S: Store> Volume<S> {
    /// Recounts the live cells of every segment, the buffers and the pages of the map. Nothing else may be under way.
    ///
    /// # Errors
    /// What does not agree, in words.
    pub fn audit(&self) -> Result<(), String> {
        let mut live = Live::new();
        let pages = self.lock().map.count();
        for number in (0..).take(pages) {
            let place = self.lock().map.page_place(number);
            let page = self.audited_page(number)?;
            Log::audit_page(place, page.as_ref(), &mut live);
        }
        self.lock().audit(&live)
    }

    /// A page, from memory or from the store; it is not taken in.
    fn audited_page(&self, number: u32) -> Result<Option<Page>, String> {
        let piece = {
            let mut log = self.lock();
            let place = log.map.page_place(number);
            if let Some(page) = log.map.page(number) {
                return Ok(Some(page.clone()));
            }
            if place.is_nowhere() {
                return Ok(None);
            }
            log.locate_page(number, place)
                .map_err(|fault| fault.to_string())?
        };
        let piece = piece.ok_or("a page that moves during an audit")?;
        let mut memory = AlignedBuffer::new(memory_for(BLOCK));
        let read = self.read_piece(&piece, Kind::Page, &mut memory);
        self.unpin(std::slice::from_ref(&piece));
        read.map_err(|fault| format!("page {number}: {fault}"))?;
        Ok(memory.get(..BLOCK).and_then(Page::from_bytes))
    }
}
