//! Formations: the coaches of each kind of train, with their seats and classes.
//!
//! They are read from a TOML file. Kinds of train have coaches, coaches have blocks of rows, and each block belongs to a class.
//! Rules assign trains to kinds; the first rule that fits counts, and the default is for all others:
//!
//! ```toml
//! default = "8-car"                       # this is also the default of the default
//!
//! [[rules]]
//! kind = "railbus"
//! trains = ["RB*", "C##"]                 # * is any text, # is one digit
//! route_types = [106]                     # where both are given, both must fit
//!
//! [[kinds]]
//! name = "railbus"
//! [[kinds.coaches]]
//! numbers = ["01", "02"]                  # coaches that are alike, one after the other
//! seats = [                               # from one end of the coach to the other
//!     { class = "1st", rows = 3, plan = "A CD" },
//!     { class = "2nd", rows = 12, plan = "AB CD", first_row = 11 },
//! ]
//! ```
//!
//! Rows are numbered on from the block before where `first_row` is left out. The kinds `8-car` and `16-car` are built in;
//! a kind of the same name takes a built-in one's place. A class's seats are numbered through the coaches in their order.

use std::ops::Range;
use std::sync::Arc;

use allocator::{Coach, Layout, RowBlock};
use serde::Deserialize;
use toml::Spanned;

use crate::error::LoadError;
use crate::limits::{
    CLASS_BYTES_MAX, CLASSES_MAX, COACHES_MAX, FORMATIONS_BYTES_MAX, KINDS_MAX, PATTERN_BYTES_MAX, RULES_MAX,
};
use crate::pattern;

/// A class of a train, with its seats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Class {
    /// As in partition keys, for example `2nd`.
    pub name: Box<str>,
    /// Shared by all runs of trains of the same kind.
    pub layout: Arc<Layout>,
    /// The number of seats in the layout.
    pub seats: u32,
}

/// Kinds of train, and the rules that assign trains to them.
pub(crate) struct Formations {
    kinds: Vec<Formation>,
    rules: Vec<Rule>,
    default: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Formation {
    pub(crate) name: Box<str>,
    /// In the order in which the coaches first have them.
    pub(crate) classes: Vec<Class>,
}

struct Rule {
    kind: u32,
    trains: Vec<String>,
    route_types: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    default: Option<Spanned<String>>,
    #[serde(default)]
    rules: Vec<RuleText>,
    #[serde(default)]
    kinds: Vec<KindText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    kind: Spanned<String>,
    #[serde(default)]
    trains: Vec<Spanned<String>>,
    #[serde(default)]
    route_types: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KindText {
    name: Spanned<String>,
    #[serde(default)]
    coaches: Vec<CoachText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CoachText {
    numbers: Spanned<Vec<String>>,
    seats: Vec<SeatsText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeatsText {
    class: Spanned<String>,
    first_row: Option<u16>,
    rows: u16,
    plan: String,
}

/// The kinds that need no file, and the rules for feeds that come without one.
const BUILT_IN: &str = include_str!("../formations.toml");
const BUILT_IN_FILE: &str = "formations.toml (built in)";
const BUILT_IN_DEFAULT: &str = "8-car";

impl Formations {
    pub(crate) fn built_in() -> Formations {
        Formations::read(BUILT_IN, BUILT_IN_FILE, &[]).expect("the built-in formations are in order")
    }

    /// Parses a file's text. `file` is its name for messages.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Formations, LoadError> {
        Formations::read(text, file, &Formations::built_in().kinds)
    }

    fn read(text: &str, file: &str, known: &[Formation]) -> Result<Formations, LoadError> {
        let source = SourceText { text, file };
        if text.len() as u64 > FORMATIONS_BYTES_MAX {
            return Err(LoadError::whole(file, format!("more than {FORMATIONS_BYTES_MAX} bytes")));
        }
        let parsed: FileText =
            toml::from_str(text).map_err(|e| source.refuse(e.span().unwrap_or(0..0), e.message()))?;
        if parsed.kinds.len() > KINDS_MAX || parsed.rules.len() > RULES_MAX {
            let what = format!("more than {KINDS_MAX} kinds or {RULES_MAX} rules");
            return Err(LoadError::whole(file, what));
        }
        let mut kinds: Vec<Formation> = Vec::new();
        for kind in &parsed.kinds {
            let formation = kind.read(&source)?;
            if kinds.iter().any(|other| other.name == formation.name) {
                return Err(source.refuse(kind.name.span(), format!("kind {} stands twice", formation.name)));
            }
            kinds.push(formation);
        }
        for kind in known {
            if kinds.iter().all(|other| other.name != kind.name) {
                kinds.push(kind.clone());
            }
        }
        let find = |name: &str| kinds.iter().position(|kind| &*kind.name == name).map(|index| index as u32);
        let named = |name: &Spanned<String>| {
            let kind = find(name.get_ref());
            kind.ok_or_else(|| source.refuse(name.span(), format!("unknown kind {}", name.get_ref())))
        };
        let default = match &parsed.default {
            Some(name) => named(name)?,
            None => find(BUILT_IN_DEFAULT).expect("the default kind is built in"),
        };
        let mut rules = Vec::with_capacity(parsed.rules.len());
        for rule in parsed.rules {
            let kind = named(&rule.kind)?;
            if rule.trains.is_empty() && rule.route_types.is_empty() {
                let what = "a rule for neither trains nor route_types: that is what default is for";
                return Err(source.refuse(rule.kind.span(), what));
            }
            if let Some(long) = rule.trains.iter().find(|train| train.get_ref().len() > PATTERN_BYTES_MAX) {
                let what = format!("a pattern of more than {PATTERN_BYTES_MAX} bytes");
                return Err(source.refuse(long.span(), what));
            }
            let trains = rule.trains.into_iter().map(Spanned::into_inner).collect();
            rules.push(Rule { kind, trains, route_types: rule.route_types });
        }
        Ok(Formations { kinds, rules, default })
    }

    /// The kind of a train, as an index of [`Formations::into_kinds`].
    pub(crate) fn kind_of(&self, train: &str, route_type: Option<u16>) -> u32 {
        self.rules.iter().find(|rule| rule.fits(train, route_type)).map_or(self.default, |rule| rule.kind)
    }

    pub(crate) fn into_kinds(self) -> Vec<Formation> {
        self.kinds
    }
}

impl Rule {
    fn fits(&self, train: &str, route_type: Option<u16>) -> bool {
        let by_train =
            self.trains.is_empty() || self.trains.iter().any(|pattern| pattern::fits(pattern, train));
        let by_type =
            self.route_types.is_empty() || route_type.is_some_and(|kind| self.route_types.contains(&kind));
        by_train && by_type
    }
}

impl KindText {
    fn read(&self, source: &SourceText<'_>) -> Result<Formation, LoadError> {
        let name = self.name.get_ref();
        let mut numbers: Vec<&str> = Vec::new();
        let mut classes: Vec<(&Spanned<String>, Vec<Coach>)> = Vec::new();
        for coach in &self.coaches {
            let blocks = coach.blocks(source)?;
            for number in coach.numbers.get_ref() {
                let refuse = |what: String| source.refuse(coach.numbers.span(), what);
                if numbers.contains(&number.as_str()) {
                    return Err(refuse(format!("coach {number} stands twice in kind {name}")));
                }
                if numbers.len() == COACHES_MAX {
                    return Err(refuse(format!("more than {COACHES_MAX} coaches in kind {name}")));
                }
                numbers.push(number);
                // On its own and whole, so that no two classes share a row.
                let rows = blocks.iter().map(|(_, block)| block.clone()).collect();
                let whole = Layout::Labelled(vec![Coach { number: number.clone(), rows }]);
                whole.validate().map_err(|e| refuse(format!("kind {name}: {e}")))?;
                for (class, block) in &blocks {
                    add_block(&mut classes, class, number, block);
                }
            }
        }
        if classes.is_empty() || classes.len() > CLASSES_MAX {
            let what = format!("kind {name} has {} classes, not 1 to {CLASSES_MAX}", classes.len());
            return Err(source.refuse(self.name.span(), what));
        }
        let mut read = Vec::with_capacity(classes.len());
        for (class, coaches) in classes {
            let layout = Layout::Labelled(coaches);
            let what = |e| format!("kind {name}, class {}: {e}", class.get_ref());
            layout.validate().map_err(|e| source.refuse(class.span(), what(e)))?;
            let seats = layout.seats();
            read.push(Class { name: class.get_ref().as_str().into(), layout: Arc::new(layout), seats });
        }
        Ok(Formation { name: name.as_str().into(), classes: read })
    }
}

impl CoachText {
    /// The blocks of rows with their classes, numbered on where the file leaves their numbers out.
    fn blocks(&self, source: &SourceText<'_>) -> Result<Vec<(&Spanned<String>, RowBlock)>, LoadError> {
        let mut next_row = 1u16;
        let mut blocks = Vec::with_capacity(self.seats.len());
        for SeatsText { class, first_row, rows, plan } in &self.seats {
            check_class(class.get_ref()).map_err(|what| source.refuse(class.span(), what))?;
            let first_row = first_row.unwrap_or(next_row);
            next_row = first_row.saturating_add(*rows);
            blocks.push((class, RowBlock { first_row, rows: *rows, plan: plan.clone() }));
        }
        Ok(blocks)
    }
}

fn add_block<'a>(
    classes: &mut Vec<(&'a Spanned<String>, Vec<Coach>)>,
    class: &'a Spanned<String>,
    number: &str,
    block: &RowBlock,
) {
    let known = classes.iter().position(|(name, _)| name.get_ref() == class.get_ref());
    let index = known.unwrap_or_else(|| {
        classes.push((class, Vec::new()));
        classes.len() - 1
    });
    let coaches = &mut classes[index].1;
    match coaches.last_mut() {
        Some(coach) if coach.number == number => coach.rows.push(block.clone()),
        _ => coaches.push(Coach { number: number.to_owned(), rows: vec![block.clone()] }),
    }
}

/// A class's name is part of partition keys, `train|date|class`.
fn check_class(name: &str) -> Result<(), String> {
    let fit = !name.is_empty() && name.len() <= CLASS_BYTES_MAX && name.trim() == name;
    if fit && !name.contains('|') && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(format!(
        "class {name:?} is not 1 to {CLASS_BYTES_MAX} bytes without |, control characters and outer blanks"
    ))
}

/// The text of the file, for the line of a refusal.
struct SourceText<'a> {
    text: &'a str,
    file: &'a str,
}

impl SourceText<'_> {
    fn refuse(&self, span: Range<usize>, what: impl Into<String>) -> LoadError {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        LoadError::at(self.file, line, what)
    }
}
