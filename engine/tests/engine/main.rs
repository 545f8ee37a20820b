//! The engine by its public interface: slots driven without disk, clock or threads, every delivery under control.

mod forgetting;
mod formats;
mod fullest;
mod ids;
mod images;
mod inventory;
mod largest;
mod late;
mod layout;
mod leaving;
mod limits;
mod model;
mod opening;
mod orders;
mod payments;
mod pieces;
mod purchases;
mod races;
mod records;
mod refunds;
mod sale;
mod shortcuts;
mod support;
mod version_1;
mod weights;
