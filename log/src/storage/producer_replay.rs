//! What the producers of a partition had done at an offset: the newest usable snapshot, and the log since.

use super::batch_facts::{facts_of, facts_of_header};
use super::batch_walk::{BatchWalk, Step};
use super::disk::DiskResult;
use super::leftovers::snapshot_offsets;
use super::loader::LoadRequest;
use super::log_dir::LogDir;
use super::producer_state::ProducerState;
use super::segment::{Numbers, Segment};
use super::snapshots;
use super::storage_error::StorageError;
use crate::types::Offset;

/// Producers as of the last of `bases`: the newest usable snapshot, and the log since.
pub(super) fn producers_at(
    dir: &LogDir,
    request: &LoadRequest,
    bases: &[Offset],
) -> Result<ProducerState, StorageError> {
    let target = bases[bases.len() - 1];
    let now = dir.clock.now_ms();
    let mut snapshots = snapshot_offsets(&*dir.disk, &request.path)?;
    snapshots.retain(|at| *at <= target);
    let mut start = bases[0];
    let mut producers = ProducerState::default();
    for at in snapshots.into_iter().rev() {
        if let Some(state) = snapshots::load(&*dir.disk, &request.path, at, now)? {
            (start, producers) = (at, state);
            break;
        }
    }
    for base in bases.iter().filter(|b| **b < target) {
        let segment = Segment::at(dir, &request.path, *base, Numbers::default());
        let file = segment.log_file(dir)?;
        let length = file.len()?;
        fold(
            BatchWalk::new(file, 0, length),
            start,
            target,
            &mut producers,
            now,
        )?;
    }
    Ok(producers)
}

/// Applies the batches in `from .. to` of one segment.
fn fold(
    mut walk: BatchWalk,
    from: Offset,
    to: Offset,
    producers: &mut ProducerState,
    now: i64,
) -> DiskResult<()> {
    while let Ok(Some(header)) = walk.peek_header()? {
        if header.base_offset() >= to {
            break;
        }
        if header.last_offset() < from || !header.producer_id().is_some() {
            walk.skip(&header);
        } else if !header.is_control() {
            producers.apply(&facts_of_header(&header), now);
            walk.skip(&header);
        } else {
            let Step::Batch(_, batch) = walk.step()? else {
                break;
            };
            if let Ok(facts) = facts_of(&batch) {
                producers.apply(&facts, now);
            }
        }
    }
    Ok(())
}
