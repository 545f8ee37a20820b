//! The limits of a timetable, by name. A feed beyond one is refused by file and line, or loses the row that is.

/// Bytes of a partition key, `train|date|class`.
pub const PARTITION_KEY_BYTES_MAX: usize = 128;
/// Bytes of a class name.
pub const CLASS_BYTES_MAX: usize = 20;
/// Bytes of a train's number, so that its partition keys fit whatever the class is called.
pub const TRAIN_BYTES_MAX: usize = PARTITION_KEY_BYTES_MAX - CLASS_BYTES_MAX - DATE_BYTES - SEPARATORS_BYTES;
const DATE_BYTES: usize = "2026-02-11".len();
const SEPARATORS_BYTES: usize = "||".len();

/// Bytes of a station's code.
pub const STATION_CODE_BYTES_MAX: usize = 64;
/// Bytes of a station's name.
pub const STATION_NAME_BYTES_MAX: usize = 255;

/// Stops of one run.
pub const STOPS_PER_RUN_MIN: usize = 2;
pub const STOPS_PER_RUN_MAX: usize = allocator::SEGMENTS_MAX as usize + 1;
/// Hours in a time of day, counted from the start of the run's date.
pub const HOURS_MAX: u32 = 168;

/// Bytes of a feed's zip file.
pub const ZIP_BYTES_MAX: u64 = 256 << 20;
/// Bytes of one table, unpacked.
pub const TABLE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of one record of a table.
pub const RECORD_BYTES_MAX: usize = 64 << 10;
/// Places of each kind that a report of a load names.
pub const REPORTED_PLACES_MAX: usize = 3;
/// Bytes of a formations file.
pub const FORMATIONS_BYTES_MAX: u64 = 1 << 20;

pub const AGENCIES_MAX: usize = 10_000;
/// Rows of `stops.txt`: stations, platforms and entrances.
pub const STOPS_MAX: usize = 1_000_000;
pub const ROUTES_MAX: usize = 1_000_000;
pub const TRIPS_MAX: usize = 1_000_000;
pub const STOP_TIMES_MAX: usize = 5_000_000;
pub const SERVICES_MAX: usize = 200_000;
/// Rows of `calendar_dates.txt`.
pub const EXCEPTIONS_MAX: usize = 5_000_000;
/// Days from a service's first to its last.
pub const SERVICE_DAYS_MAX: i32 = 36_525;
/// The same, summed over all services.
pub const SERVICE_DAYS_TOTAL_MAX: u64 = 1 << 30;
/// Years in which services may run.
pub const YEAR_MIN: i16 = 1970;
pub const YEAR_MAX: i16 = 2299;

/// Kinds of train in a formations file.
pub const KINDS_MAX: usize = 1_000;
/// Coaches of one kind of train.
pub const COACHES_MAX: usize = 64;
/// Classes of one kind of train.
pub const CLASSES_MAX: usize = 16;
/// Rules of a formations file.
pub const RULES_MAX: usize = 1_000;
/// Bytes of a pattern of train numbers.
pub const PATTERN_BYTES_MAX: usize = TRAIN_BYTES_MAX;

const _: () =
    assert!(TRAIN_BYTES_MAX + DATE_BYTES + CLASS_BYTES_MAX + SEPARATORS_BYTES == PARTITION_KEY_BYTES_MAX);
const _: () = assert!(STOPS_PER_RUN_MIN == 2 && STOPS_PER_RUN_MAX <= u8::MAX as usize);
// Stop times and trips are counted in 32 bits.
const _: () = assert!(STOP_TIMES_MAX <= u32::MAX as usize);
const _: () = assert!(TRIPS_MAX <= u32::MAX as usize);
