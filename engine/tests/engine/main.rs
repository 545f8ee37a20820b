//! The engine by its public interface: slots driven without disk, clock or threads, every delivery under control.

mod formats;
mod fullest;
mod ids;
mod images;
mod inventory;
mod largest;
mod late;
mod layout;
mod limits;
mod model;
mod opening;
mod orders;
mod payments;
mod races;
mod records;
mod refunds;
mod shortcuts;
mod support;
mod weights;
