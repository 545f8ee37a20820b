//! One directory's names: what a look-up sees, what is on the disk, and the changes in between. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use super::survival::Survival;

pub type Ino = u64;
pub type Names = BTreeMap<String, Ino>;

#[derive(Clone, Debug)]
enum NameChange {
    Add(String, Ino),
    Remove(String),
    Rename(String, String),
}

#[derive(Clone, Debug, Default)]
pub struct Dir {
    live: Names,
    disk: Names,
    /// Since the last sync, oldest first.
    changes: Vec<NameChange>,
}

impl Dir {
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.live
    }

    pub fn add(&mut self, name: &str, ino: Ino) {
        self.change(NameChange::Add(name.to_owned(), ino));
    }

    pub fn remove(&mut self, name: &str) {
        self.change(NameChange::Remove(name.to_owned()));
    }

    pub fn rename(&mut self, from: &str, to: &str) {
        self.change(NameChange::Rename(from.to_owned(), to.to_owned()));
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.changes.push(change);
    }

    pub fn sync(&mut self) {
        self.disk.clone_from(&self.live);
        self.changes.clear();
    }

    /// Cuts the power. A change survives only if all earlier ones of the same names do: each name has a history of its own,
    /// and changes of different names survive in any combination. Or, as with a journal, everything up to some change
    /// survives.
    pub fn cut(&mut self, survival: &mut Survival) {
        let mut lost: BTreeSet<String> = BTreeSet::new();
        for change in std::mem::take(&mut self.changes) {
            let names = change.names();
            let follows_a_lost_one = if survival.in_order {
                !lost.is_empty()
            } else {
                names.iter().any(|name| lost.contains(*name))
            };
            if follows_a_lost_one || !survival.keeps() {
                lost.extend(names.into_iter().cloned());
            } else {
                change.apply(&mut self.disk);
            }
        }
        self.live.clone_from(&self.disk);
    }
}

impl NameChange {
    fn names(&self) -> Vec<&String> {
        match self {
            NameChange::Add(name, _) | NameChange::Remove(name) => vec![name],
            NameChange::Rename(from, to) => vec![from, to],
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            NameChange::Add(name, ino) => {
                names.insert(name.clone(), *ino);
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
            NameChange::Rename(from, to) => {
                if let Some(ino) = names.remove(from) {
                    names.insert(to.clone(), ino);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    #[test]
    fn names_come_back_in_any_combination_but_each_in_its_order() {
        let mut seen = BTreeSet::new();
        let mut rng = Rng::with_seed(1);
        for _ in 0..2_000 {
            let mut dir = Dir::default();
            dir.add("old", 1);
            dir.sync();
            dir.add("a.new", 2);
            dir.rename("a.new", "a");
            dir.remove("old");
            dir.cut(&mut Survival::draw(&mut rng));
            seen.insert(dir.names().keys().cloned().collect::<Vec<_>>().join(" "));
        }
        let expected = ["", "a", "a old", "a.new", "a.new old", "old"];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_was_synced_stays() {
        let mut dir = Dir::default();
        dir.add("a.new", 2);
        dir.rename("a.new", "a");
        dir.sync();
        dir.cut(&mut Survival::fixed(0));
        assert_eq!(dir.names().keys().collect::<Vec<_>>(), ["a"]);
    }
}
