//! Imaged map: an ordered map whose image is taken piece by piece while it changes.
//!
//! The image is the map as it was when the image began. A cursor walks over the keys. An entry ahead of the cursor that changes, goes
//! or comes is kept as it was (copy on write), and the cursor gives what was kept. What the cursor has passed changes freely.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::ops::{Bound, ControlFlow, Deref};

/// Reads as the [`BTreeMap`] that it is; every change goes through its own methods.
#[derive(Debug)]
pub(super) struct ImagedMap<K, V> {
    live: BTreeMap<K, V>,
    image: Option<Box<Image<K, V>>>,
}

#[derive(Debug)]
struct Image<K, V> {
    /// The last key that was given.
    cursor: Option<K>,
    /// Entries ahead of the cursor that have changed, as they were; `None` where there was none.
    kept: BTreeMap<K, Option<V>>,
}

impl<K, V> Default for ImagedMap<K, V> {
    fn default() -> ImagedMap<K, V> {
        ImagedMap { live: BTreeMap::new(), image: None }
    }
}

impl<K, V> Deref for ImagedMap<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.live
    }
}

impl<K: Ord + Clone, V: Clone> ImagedMap<K, V> {
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.keep(&key);
        self.live.insert(key, value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.keep(key);
        self.live.get_mut(key)
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.keep(key);
        self.live.remove(key)
    }

    fn keep(&mut self, key: &K) {
        let Some(image) = &mut self.image else { return };
        let is_given = image.cursor.as_ref().is_some_and(|cursor| key <= cursor);
        if !is_given && !image.kept.contains_key(key) {
            image.kept.insert(key.clone(), self.live.get(key).cloned());
        }
    }

    /// Begins an image of the map as it is now. One that was under way is dropped.
    pub(super) fn begin_image(&mut self) {
        self.image = Some(Box::new(Image { cursor: None, kept: BTreeMap::new() }));
    }

    pub(super) fn drop_image(&mut self) {
        self.image = None;
    }

    /// Gives the next entries of the image, by key, until `give` breaks. Returns whether that was all: then the image is over.
    pub(super) fn give_image(&mut self, mut give: impl FnMut(&K, &V) -> ControlFlow<()>) -> bool {
        let Some(image) = &mut self.image else { return true };
        let ahead = (image.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut live = self.live.range::<K, _>(ahead).peekable();
        let mut kept = image.kept.iter().peekable();
        let cursor = loop {
            let entry = match (live.peek(), kept.peek()) {
                (Some((key, _)), Some((kept_key, _))) if key < kept_key => live.next(),
                (_, Some((kept_key, _))) => {
                    live.next_if(|(key, _)| key == kept_key);
                    kept.next().and_then(|(key, value)| Some((key, value.as_ref()?)))
                }
                (Some(_), None) => live.next(),
                (None, None) => break None,
            };
            if let Some((key, value)) = entry
                && give(key, value).is_break()
            {
                break Some(key.clone());
            }
        };
        let Some(cursor) = cursor else {
            self.image = None;
            return true;
        };
        // A few with each piece, so that they are not all let go at the end.
        while image.kept.first_key_value().is_some_and(|(key, _)| *key <= cursor) {
            image.kept.pop_first();
        }
        image.cursor = Some(cursor);
        false
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Random changes between pieces of random size; the model is a copy made at the beginning.
    #[test]
    fn an_image_is_the_map_as_it_was() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut random = move |below: u32| rng.u32(..below);
        for _ in 0..2_000 {
            let mut map = ImagedMap::default();
            for _ in 0..random(12) {
                map.insert(random(16), random(1_000));
            }
            let expected: Vec<(u32, u32)> = map.iter().map(|(key, value)| (*key, *value)).collect();
            if random(4) == 0 {
                // One that is never finished.
                map.begin_image();
                map.give_image(|_, _| ControlFlow::Break(()));
                map.drop_image();
            }
            map.begin_image();
            let mut given = Vec::new();
            loop {
                for _ in 0..random(4) {
                    let key = random(16);
                    match random(3) {
                        0 => drop(map.insert(key, random(1_000))),
                        1 => drop(map.remove(&key)),
                        _ => map.get_mut(&key).into_iter().for_each(|value| *value += 1),
                    }
                }
                let mut piece = random(3) + 1;
                let is_whole = map.give_image(|key, value| {
                    given.push((*key, *value));
                    piece -= 1;
                    if piece == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                if is_whole {
                    break;
                }
                let image = map.image.as_ref().expect("it is not whole");
                assert!(
                    image.kept.first_key_value().is_none_or(|(key, _)| Some(key) > image.cursor.as_ref())
                );
            }
            assert_eq!(given, expected);
            assert!(map.image.is_none());
        }
    }

    #[test]
    fn without_an_image_nothing_is_given_or_kept() {
        let mut map = ImagedMap::default();
        map.insert(1, 'a');
        assert!(map.give_image(|_, _| unreachable!("there is no image")));
        assert_eq!(map.get(&1), Some(&'a'));
    }
}
