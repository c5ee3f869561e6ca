//! The macro that exports the endpoints.

/// Exports the endpoints of a source and a target: `decant_status` and the other methods of
/// [`api::source`](crate::api::source) and [`api::target`](crate::api::target).
///
/// ```text
/// decant_kit::export! { save = save_state, load = load_state, fingerprint = fingerprint }
/// ```
///
/// `save` and `load` are of type `fn()`, `fingerprint` is of type `fn() -> Vec<u8>` and may be left out. Once
/// a canister, in the crate's root; the crate depends on `candid` and `ic-cdk` 0.20 under these names.
#[macro_export]
macro_rules! export {
    (save = $save:path, load = $load:path $(,)?) => {
        $crate::export! { save = $save, load = $load, fingerprint = ::std::vec::Vec::<u8>::new }
    };
    (save = $save:path, load = $load:path, fingerprint = $fingerprint:path $(,)?) => {
        const DECANT_HOOKS: ::decant_kit::Hooks =
            ::decant_kit::Hooks { save: $save, load: $load, fingerprint: $fingerprint };

        // Tells tools that the kit is in this module, without a call.
        #[cfg(target_family = "wasm")]
        #[used]
        #[unsafe(link_section = "icp:public decant:kit")]
        static DECANT_KIT_VERSION: [u8; 1] = ::decant_kit::KIT_VERSION_DIGIT;

        #[::ic_cdk::query]
        fn decant_status() -> ::decant_kit::source::KitStatus {
            ::decant_kit::source::status()
        }

        #[::ic_cdk::update]
        fn decant_offer(
            args: ::decant_kit::source::OfferArgs,
        ) -> Result<::decant_kit::source::KitStatus, ::decant_kit::api::KitError> {
            ::decant_kit::source::offer(args)
        }

        #[::ic_cdk::query]
        fn decant_precopy(
            args: ::decant_kit::source::PrecopyArgs,
        ) -> Result<::decant_kit::source::PrecopyBatch, ::decant_kit::api::KitError> {
            ::decant_kit::source::precopy(args)
        }

        #[::ic_cdk::update]
        fn decant_freeze(
            args: ::decant_kit::source::FreezeArgs,
        ) -> Result<::decant_kit::source::KitStatus, ::decant_kit::api::KitError> {
            ::decant_kit::source::freeze(args)
        }

        #[::ic_cdk::update]
        fn decant_seal(
            args: ::decant_kit::source::JobArgs,
        ) -> Result<::decant_kit::source::SealProgress, ::decant_kit::api::KitError> {
            ::decant_kit::source::seal(&DECANT_HOOKS, args)
        }

        #[::ic_cdk::update]
        fn decant_open(
            args: ::decant_kit::source::OpenArgs,
        ) -> Result<::decant_kit::source::Opening, ::decant_kit::api::KitError> {
            ::decant_kit::source::open(args)
        }

        #[::ic_cdk::query]
        fn decant_manifest(
            args: ::decant_kit::source::JobArgs,
        ) -> Result<::decant_kit::source::Manifest, ::decant_kit::api::KitError> {
            ::decant_kit::source::manifest(args)
        }

        #[::ic_cdk::update]
        fn decant_digests(
            args: ::decant_kit::source::DigestsArgs,
        ) -> Result<::decant_kit::source::DigestPage, ::decant_kit::api::KitError> {
            ::decant_kit::source::digests(args)
        }

        #[::ic_cdk::update]
        fn decant_frames(
            args: ::decant_kit::source::FramesArgs,
        ) -> Result<::decant_kit::source::Batch, ::decant_kit::api::KitError> {
            ::decant_kit::source::frames(args)
        }

        #[::ic_cdk::update]
        fn decant_recheck(
            args: ::decant_kit::source::JobArgs,
        ) -> Result<::decant_kit::source::SealProgress, ::decant_kit::api::KitError> {
            ::decant_kit::source::recheck(&DECANT_HOOKS, args)
        }

        #[::ic_cdk::update]
        fn decant_thaw(
            args: ::decant_kit::source::JobArgs,
        ) -> Result<::decant_kit::source::KitStatus, ::decant_kit::api::KitError> {
            ::decant_kit::source::thaw(args)
        }

        #[::ic_cdk::update]
        fn decant_release() -> Result<::decant_kit::source::KitStatus, ::decant_kit::api::KitError> {
            ::decant_kit::source::release()
        }

        #[::ic_cdk::update]
        fn decant_retire(
            args: ::decant_kit::source::RetireArgs,
        ) -> Result<::decant_kit::source::KitStatus, ::decant_kit::api::KitError> {
            ::decant_kit::source::retire(args)
        }

        #[::ic_cdk::update]
        fn decant_reinstate(
            args: ::decant_kit::source::RetireArgs,
        ) -> Result<::decant_kit::source::KitStatus, ::decant_kit::api::KitError> {
            ::decant_kit::source::reinstate(args)
        }

        #[::ic_cdk::update]
        async fn decant_drain(
            args: ::decant_kit::source::DrainArgs,
        ) -> Result<u128, ::decant_kit::api::KitError> {
            ::decant_kit::source::drain(&DECANT_HOOKS, args).await
        }

        #[::ic_cdk::update]
        fn decant_import_begin(
            args: ::decant_kit::target::BeginArgs,
        ) -> Result<::decant_kit::target::KitStatus, ::decant_kit::api::KitError> {
            ::decant_kit::target::begin(args)
        }

        #[::ic_cdk::update]
        async fn decant_import_precopy(
            args: ::decant_kit::target::PrecopyPullArgs,
        ) -> Result<::decant_kit::target::PullProgress, ::decant_kit::api::KitError> {
            ::decant_kit::target::precopy(args).await
        }

        #[::ic_cdk::update]
        async fn decant_import_pull(
            args: ::decant_kit::target::PullArgs,
        ) -> Result<::decant_kit::target::PullProgress, ::decant_kit::api::KitError> {
            ::decant_kit::target::pull(&DECANT_HOOKS, args).await
        }

        #[::ic_cdk::update]
        fn decant_import_verify(
            args: ::decant_kit::target::JobArgs,
        ) -> Result<::decant_kit::target::SealProgress, ::decant_kit::api::KitError> {
            ::decant_kit::target::verify(&DECANT_HOOKS, args)
        }

        #[::ic_cdk::update]
        fn decant_activate(
            args: ::decant_kit::target::JobArgs,
        ) -> Result<::decant_kit::target::KitStatus, ::decant_kit::api::KitError> {
            ::decant_kit::target::activate(args)
        }
    };
}
