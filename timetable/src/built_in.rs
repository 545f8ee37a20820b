//! The project's own small feed, in the program.

/// Its files with their names.
pub(crate) const FEED: &[(&str, &str)] = &[
    ("agency.txt", include_str!("../feed/agency.txt")),
    ("calendar.txt", include_str!("../feed/calendar.txt")),
    ("formations.toml", include_str!("../feed/formations.toml")),
    ("routes.txt", include_str!("../feed/routes.txt")),
    ("stop_times.txt", include_str!("../feed/stop_times.txt")),
    ("stops.txt", include_str!("../feed/stops.txt")),
    ("trips.txt", include_str!("../feed/trips.txt")),
];
