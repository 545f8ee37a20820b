//! Stations, by code and by name.

use hashbrown::HashMap;

/// A station. Its platforms count as the station.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Station {
    /// `stop_code`, or the stop's id where it has none. No two stations share one.
    pub code: Box<str>,
    /// Several stations may share one.
    pub name: Box<str>,
}

/// A station of one timetable: its place in the order of codes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StationId(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct Stations {
    /// In the order of their codes, which is that of their bytes.
    all: Vec<Station>,
    folded: Vec<Folded>,
    by_code: HashMap<Box<str>, StationId>,
    /// `None` for a name that several share.
    by_name: HashMap<Box<str>, Option<StationId>>,
}

/// Code and name in lower case, for searches.
#[derive(Debug)]
struct Folded {
    code: Box<str>,
    name: Box<str>,
}

impl Stations {
    pub(crate) fn new(all: Vec<Station>) -> Stations {
        assert!(all.is_sorted_by(|a, b| a.code < b.code), "stations come in the order of their codes");
        let mut by_code = HashMap::with_capacity(all.len());
        let mut by_name = HashMap::with_capacity(all.len());
        for (index, station) in all.iter().enumerate() {
            let id = StationId(index as u32);
            by_code.insert(station.code.clone(), id);
            by_name.entry(station.name.clone()).and_modify(|shared| *shared = None).or_insert(Some(id));
        }
        let folded = all.iter().map(|station| Folded {
            code: station.code.to_lowercase().into(),
            name: station.name.to_lowercase().into(),
        });
        let folded = folded.collect();
        Stations { all, folded, by_code, by_name }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, id: StationId) -> &Station {
        &self.all[id.0 as usize]
    }

    /// By its code, else by its whole name where only one has it.
    pub(crate) fn find(&self, code_or_name: &str) -> Option<StationId> {
        let by_code = self.by_code.get(code_or_name).copied();
        by_code.or_else(|| self.by_name.get(code_or_name).copied().flatten())
    }

    pub(crate) fn search(&self, query: &str, after: Option<&str>, limit: usize) -> Vec<&Station> {
        let query = query.trim().to_lowercase();
        let start = after.map_or(0, |after| self.all.partition_point(|station| &*station.code <= after));
        let matches = |folded: &Folded| folded.code.starts_with(&query) || folded.name.contains(&query);
        let found = self.all.iter().zip(&self.folded).skip(start).filter(|(_, folded)| matches(folded));
        found.map(|(station, _)| station).take(limit).collect()
    }
}
