//! What makes a crate a proxy-wasm module.

use crate::contexts::RootContext;
use crate::host;
use crate::root::Unknown;

/// One plugin of a module: its `root_id` and how its root context is made.
pub type Entry = (&'static str, fn(u32) -> Box<dyn RootContext>);

/// The root context of the plugin that the host's `root_id` names; without one, the module's first.
pub fn new_root(context_id: u32, entries: &[Entry]) -> Box<dyn RootContext> {
    let root_id = host::property(&["plugin_root_id"]).unwrap_or_default();
    let root_id = String::from_utf8_lossy(&root_id);
    let entry = match root_id.as_ref() {
        "" => entries.first(),
        root_id => entries.iter().find(|(name, _)| *name == root_id),
    };
    match entry {
        Some((_, make)) => make(context_id),
        None => Box::new(Unknown {
            root_id: root_id.into_owned(),
            known: entries.iter().map(|(name, _)| *name).collect(),
        }),
    }
}

/// Exports bundles as the plugins of this module, each under its `root_id`; the first is also the one of an empty
/// `root_id`. Once per module. The callbacks they need are written into the custom section `portcullis.callbacks`
/// for the step after linking.
#[macro_export]
macro_rules! export {
    ($($bundle:ty),+ $(,)?) => {
        #[used]
        #[unsafe(link_section = "portcullis.callbacks")]
        static PORTCULLIS_CALLBACKS: [u8; 4] = {
            let mut bits = 0;
            $( bits |= <$bundle as $crate::reexport::Bundle>::CALLBACKS.bits(); )+
            bits.to_le_bytes()
        };

        $crate::reexport::proxy_wasm::main! {{
            const ENTRIES: &[$crate::Entry] = &[
                $( (
                    <$bundle as $crate::reexport::Bundle>::NAME,
                    |context_id| Box::new($crate::Root::<$bundle>::new(context_id)),
                ) ),+
            ];
            $crate::start(ENTRIES);
        }}
    };
}
