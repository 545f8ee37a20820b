//! Redis has no hold that has ended, and in the end all have.

use serde_json::json;

use crate::services::Place;

pub fn check(place: &Place) {
    let keys = place.services.redis(place.redis_db, &["KEYS", "inventory:*"]);
    assert_eq!(keys, json!([]), "holds of Redis");
}
