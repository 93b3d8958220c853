//! The SDK's wrappers of host calls, made unreachable.
//!
//! Its traits carry them as default methods: they read names as UTF-8, panic on statuses they do not expect, and being
//! in each context's vtable they stay in the module although nothing calls them. Here each has an empty body, so neither
//! they nor what they reach (25 kB) is linked, and no panic of theirs can be met. Host calls are in [`crate::host`].

/// For `impl Context`.
macro_rules! no_context_calls {
    () => {
        fn get_current_time(&self) -> std::time::SystemTime {
            std::time::UNIX_EPOCH
        }
        fn get_property(&self, _: Vec<&str>) -> Option<Vec<u8>> {
            None
        }
        fn set_property(&self, _: Vec<&str>, _: Option<&[u8]>) {}
        fn get_shared_data(&self, _: &str) -> (Option<Vec<u8>>, Option<u32>) {
            (None, None)
        }
        fn set_shared_data(
            &self,
            _: &str,
            _: Option<&[u8]>,
            _: Option<u32>,
        ) -> Result<(), proxy_wasm::types::Status> {
            Ok(())
        }
        fn remove_shared_data(
            &self,
            _: &str,
            _: Option<u32>,
        ) -> Result<(), proxy_wasm::types::Status> {
            Ok(())
        }
        fn register_shared_queue(&self, _: &str) -> u32 {
            0
        }
        fn resolve_shared_queue(&self, _: &str, _: &str) -> Option<u32> {
            None
        }
        fn dequeue_shared_queue(
            &self,
            _: u32,
        ) -> Result<Option<Vec<u8>>, proxy_wasm::types::Status> {
            Ok(None)
        }
        fn enqueue_shared_queue(
            &self,
            _: u32,
            _: Option<&[u8]>,
        ) -> Result<(), proxy_wasm::types::Status> {
            Ok(())
        }
        fn get_http_call_response_headers(&self) -> Vec<(String, String)> {
            Vec::new()
        }
        fn get_http_call_response_headers_bytes(&self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn get_http_call_response_header(&self, _: &str) -> Option<String> {
            None
        }
        fn get_http_call_response_header_bytes(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn get_http_call_response_body(&self, _: usize, _: usize) -> Option<Vec<u8>> {
            None
        }
        fn get_http_call_response_trailers(&self) -> Vec<(String, String)> {
            Vec::new()
        }
        fn get_http_call_response_trailers_bytes(&self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn get_http_call_response_trailer(&self, _: &str) -> Option<String> {
            None
        }
        fn get_http_call_response_trailer_bytes(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn get_grpc_call_response_body(&self, _: usize, _: usize) -> Option<Vec<u8>> {
            None
        }
        fn cancel_grpc_call(&self, _: u32) {}
        fn get_grpc_stream_initial_metadata(&self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn get_grpc_stream_initial_metadata_value(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn send_grpc_stream_message(&self, _: u32, _: Option<&[u8]>, _: bool) {}
        fn get_grpc_stream_message(&mut self, _: usize, _: usize) -> Option<Vec<u8>> {
            None
        }
        fn get_grpc_stream_trailing_metadata(&self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn get_grpc_stream_trailing_metadata_value(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn cancel_grpc_stream(&self, _: u32) {}
        fn close_grpc_stream(&self, _: u32) {}
        fn get_grpc_status(&self) -> (u32, Option<String>) {
            (0, None)
        }
        fn call_foreign_function(
            &self,
            _: &str,
            _: Option<&[u8]>,
        ) -> Result<Option<Vec<u8>>, proxy_wasm::types::Status> {
            Ok(None)
        }
        fn done(&self) {}
    };
}

/// For `impl RootContext`.
macro_rules! no_root_calls {
    () => {
        fn get_vm_configuration(&self) -> Option<Vec<u8>> {
            None
        }
        fn get_plugin_configuration(&self) -> Option<Vec<u8>> {
            None
        }
        fn set_tick_period(&self, _: std::time::Duration) {}
    };
}

/// For `impl HttpContext`.
macro_rules! no_http_calls {
    () => {
        fn get_http_request_headers(&self) -> Vec<(String, String)> {
            Vec::new()
        }
        fn get_http_request_headers_bytes(&self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn get_http_request_header(&self, _: &str) -> Option<String> {
            None
        }
        fn get_http_request_header_bytes(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn set_http_request_header(&self, _: &str, _: Option<&str>) {}
        fn set_http_request_header_bytes(&self, _: &str, _: Option<&[u8]>) {}
        fn add_http_request_header(&self, _: &str, _: &str) {}
        fn add_http_request_header_bytes(&self, _: &str, _: &[u8]) {}
        fn remove_http_request_header(&self, _: &str) {}
        fn get_http_request_body(&self, _: usize, _: usize) -> Option<Vec<u8>> {
            None
        }
        fn set_http_request_body(&self, _: usize, _: usize, _: &[u8]) {}
        fn get_http_request_trailers(&self) -> Vec<(String, String)> {
            Vec::new()
        }
        fn get_http_request_trailers_bytes(&self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn get_http_request_trailer(&self, _: &str) -> Option<String> {
            None
        }
        fn get_http_request_trailer_bytes(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn set_http_request_trailer(&self, _: &str, _: Option<&str>) {}
        fn set_http_request_trailer_bytes(&self, _: &str, _: Option<&[u8]>) {}
        fn add_http_request_trailer(&self, _: &str, _: &str) {}
        fn add_http_request_trailer_bytes(&self, _: &str, _: &[u8]) {}
        fn remove_http_request_trailer(&self, _: &str) {}
        fn resume_http_request(&self) {}
        fn reset_http_request(&self) {}
        fn get_http_response_headers(&self) -> Vec<(String, String)> {
            Vec::new()
        }
        fn get_http_response_headers_bytes(&self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn get_http_response_header(&self, _: &str) -> Option<String> {
            None
        }
        fn get_http_response_header_bytes(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn set_http_response_header(&self, _: &str, _: Option<&str>) {}
        fn set_http_response_header_bytes(&self, _: &str, _: Option<&[u8]>) {}
        fn add_http_response_header(&self, _: &str, _: &str) {}
        fn add_http_response_header_bytes(&self, _: &str, _: &[u8]) {}
        fn remove_http_response_header(&self, _: &str) {}
        fn get_http_response_body(&self, _: usize, _: usize) -> Option<Vec<u8>> {
            None
        }
        fn set_http_response_body(&self, _: usize, _: usize, _: &[u8]) {}
        fn get_http_response_trailers(&self) -> Vec<(String, String)> {
            Vec::new()
        }
        fn get_http_response_trailers_bytes(&self) -> Vec<(String, Vec<u8>)> {
            Vec::new()
        }
        fn get_http_response_trailer(&self, _: &str) -> Option<String> {
            None
        }
        fn get_http_response_trailer_bytes(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn set_http_response_trailer(&self, _: &str, _: Option<&str>) {}
        fn set_http_response_trailer_bytes(&self, _: &str, _: Option<&[u8]>) {}
        fn add_http_response_trailer(&self, _: &str, _: &str) {}
        fn add_http_response_trailer_bytes(&self, _: &str, _: &[u8]) {}
        fn remove_http_response_trailer(&self, _: &str) {}
        fn resume_http_response(&self) {}
        fn reset_http_response(&self) {}
    };
}

pub(crate) use {no_context_calls, no_http_calls, no_root_calls};
