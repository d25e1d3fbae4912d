//! What the safe wrapper of PKCS#11 cannot do: a login between the two halves of an operation (CKA_ALWAYS_AUTHENTICATE), one
//! call where it makes two, arguments that are the module's own, and closing what was inherited. All `unsafe` of the crate.
#![expect(unsafe_code, reason = "a C interface, and descriptors by number")]

use std::{
    ffi::CString,
    os::{fd::RawFd, raw::c_void},
    path::Path,
    ptr::{self, NonNull},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11},
    error::{Error, Rv},
    mechanism::Mechanism,
    object::ObjectHandle,
    session::Session,
};
use cryptoki_sys::{
    CK_FUNCTION_LIST, CK_MECHANISM, CK_OBJECT_HANDLE, CK_RV, CK_SESSION_HANDLE, CK_ULONG,
};
use zeroize::Zeroizing;

/// The longest signature or plaintext: RSA of 8192 bits.
const MAX_BYTES: usize = 1024;

/// The functions of a loaded module.
pub(crate) struct Raw {
    functions: CK_FUNCTION_LIST,
    // The functions are the library's, which stays as long as they do.
    _library: cryptoki_sys::Pkcs11,
}

type Init = unsafe extern "C" fn(CK_SESSION_HANDLE, *mut CK_MECHANISM, CK_OBJECT_HANDLE) -> CK_RV;
type Finish =
    unsafe extern "C" fn(CK_SESSION_HANDLE, *mut u8, CK_ULONG, *mut u8, *mut CK_ULONG) -> CK_RV;

impl Raw {
    /// The functions of the module at `path`, which [`Pkcs11`] has loaded: the loader gives the same library again.
    pub(crate) fn of(path: &Path) -> Result<Self, Error> {
        // SAFETY: loading runs the module's constructors; that is what this process is for, and they ran before.
        let library = unsafe { cryptoki_sys::Pkcs11::new(path) }.map_err(Error::LibraryLoading)?;
        if library.C_GetFunctionList.is_err() {
            return Err(Error::MissingSymbol("C_GetFunctionList"));
        }
        let mut list = ptr::null_mut();
        // SAFETY: the symbol was found, and `list` is a place for the pointer that it writes.
        let value = unsafe { library.C_GetFunctionList(&raw mut list) };
        Rv::from(value).into_result(Function::GetFunctionList)?;
        let list = NonNull::new(list).ok_or(Error::NullFunctionPointer)?;
        // SAFETY: PKCS#11 promises a list that lives as long as the library; it is copied here.
        let functions = unsafe { *list.as_ptr() };
        Ok(Self {
            functions,
            _library: library,
        })
    }

    /// C_SignInit.
    pub(crate) fn begin_to_sign(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
    ) -> Result<(), Error> {
        let init = self
            .functions
            .C_SignInit
            .ok_or(Error::NullFunctionPointer)?;
        begin(init, Function::SignInit, session, mechanism, key)
    }

    /// C_Sign, called once: some tokens count or ask, and asking for the length first would be a second time.
    pub(crate) fn sign(&self, session: &Session, message: &[u8]) -> Result<Vec<u8>, Error> {
        let sign = self.functions.C_Sign.ok_or(Error::NullFunctionPointer)?;
        finish(sign, Function::Sign, session, message).map(|signature| signature.to_vec())
    }

    /// C_DecryptInit.
    pub(crate) fn begin_to_decrypt(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        key: ObjectHandle,
    ) -> Result<(), Error> {
        let init = self
            .functions
            .C_DecryptInit
            .ok_or(Error::NullFunctionPointer)?;
        begin(init, Function::DecryptInit, session, mechanism, key)
    }

    /// C_Decrypt, called once.
    pub(crate) fn decrypt(
        &self,
        session: &Session,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let decrypt = self.functions.C_Decrypt.ok_or(Error::NullFunctionPointer)?;
        finish(decrypt, Function::Decrypt, session, sealed)
    }
}

fn begin(
    init: Init,
    name: Function,
    session: &Session,
    mechanism: &Mechanism<'_>,
    key: ObjectHandle,
) -> Result<(), Error> {
    // The wrapper shows a handle as text alone.
    let key = key.to_string().parse().map_err(Error::ParseInt)?;
    let mut c_mechanism: CK_MECHANISM = mechanism.into();
    // SAFETY: an open session; a mechanism whose parameters `mechanism` keeps alive through the call; handles by value.
    let value = unsafe { init(session.handle(), &raw mut c_mechanism, key) };
    Rv::from(value).into_result(name)
}

fn finish(
    finish: Finish,
    name: Function,
    session: &Session,
    input: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut out = Zeroizing::new(vec![0; MAX_BYTES]);
    let mut length = CK_ULONG::try_from(out.len())?;
    let input_length = CK_ULONG::try_from(input.len())?;
    // SAFETY: an open session; `input` is read for its length (the C type merely lacks `const`); `out` has room for
    // `length` bytes, which the module lowers to what it wrote.
    let value = unsafe {
        finish(
            session.handle(),
            input.as_ptr().cast_mut(),
            input_length,
            out.as_mut_ptr(),
            &raw mut length,
        )
    };
    Rv::from(value).into_result(name)?;
    let length = usize::try_from(length)?;
    if length > out.len() {
        return Err(Error::InvalidValue);
    }
    out.truncate(length);
    Ok(out)
}

/// C_Initialize, with the module's own argument where it wants one.
pub(crate) fn initialize(module: &Pkcs11, argument: Option<&str>) -> Result<(), Error> {
    let flags = CInitializeFlags::OS_LOCKING_OK;
    let Some(argument) = argument else {
        return module.initialize(CInitializeArgs::new(flags));
    };
    let text = CString::new(argument).map_err(Error::NulError)?;
    let pointer = NonNull::new(text.as_ptr().cast_mut().cast::<c_void>());
    let pointer = pointer.ok_or(Error::NullFunctionPointer)?;
    // SAFETY: the pointer is to a C string that outlives the call, which is what modules with such an argument read.
    let arguments = unsafe { CInitializeArgs::new_with_reserved(flags, pointer) };
    module.initialize(arguments)
}

/// Closes descriptors by number. Called once, first of all, by a process that has opened nothing itself.
pub(crate) fn close_all(numbers: &[RawFd]) {
    for number in numbers {
        // SAFETY: nothing in this process has an object for any of them: it was started a moment ago, and they are the
        // parent's.
        unsafe { rustix::io::close(*number) };
    }
}
