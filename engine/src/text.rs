//! Immutable text, archived as a plain string: nothing of how it is kept in memory ever reaches the disk.

use core::fmt;

use rkyv::rancor::{Fallible, Source};
use rkyv::ser::Writer;
use rkyv::string::{ArchivedString, StringResolver};
use rkyv::{Archive, Deserialize, Place, Serialize};
use smol_str::{SmolStr, SmolStrBuilder};

/// A string that is cheap to clone: one hold's id stands in its map, its deadline and its order. Up to 23 bytes are kept in
/// place, which most ids and all labels are; longer ones are shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(SmolStr);

impl Text {
    /// The text that `write` writes.
    ///
    /// # Panics
    /// When `write` fails, for which it has no reason.
    pub fn written(write: impl FnOnce(&mut SmolStrBuilder) -> fmt::Result) -> Text {
        let mut builder = SmolStrBuilder::new();
        write(&mut builder).expect("text is written to memory");
        Text(builder.finish())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(SmolStr::new(text))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Archive for Text {
    type Archived = ArchivedString;
    type Resolver = StringResolver;

    fn resolve(&self, resolver: Self::Resolver, out: Place<Self::Archived>) {
        ArchivedString::resolve_from_str(self.as_str(), resolver, out);
    }
}

impl<S> Serialize<S> for Text
where
    S: Fallible<Error: Source> + Writer + ?Sized,
{
    fn serialize(&self, serializer: &mut S) -> Result<Self::Resolver, S::Error> {
        ArchivedString::serialize_from_str(self.as_str(), serializer)
    }
}

impl<D: Fallible + ?Sized> Deserialize<Text, D> for ArchivedString {
    fn deserialize(&self, _: &mut D) -> Result<Text, D::Error> {
        Ok(Text::from(self.as_str()))
    }
}
