//! Living code: mapping, stores, instances, memories, tables, calls, traps, cell stacks.
//!
//! THE PUBLIC SIGNATURES (stable; the bodies are being written behind them):
//!
//! ```ignore
//! pub type HostError = Box<dyn Any + Send + Sync>;      // an embedder's error, comes out as it went in
//! pub struct EngineConfig { pub target: Target, pub stack_bytes: usize, pub backtrace: bool }   // Default
//! #[derive(Clone)] pub struct Engine;                     // an Arc
//! impl Engine {
//!     pub fn new(config: EngineConfig) -> Result<Engine, Error>;
//!     pub fn config(&self) -> &EngineConfig;  pub fn target(&self) -> &Target;
//!     pub fn interrupt(&self);
//!     pub fn same(&self, other: &Engine) -> bool;
//! }
//! pub fn host_features() -> CpuFeatures;
//! pub struct Code;
//! impl Code {
//!     pub fn map(engine: &Engine, verified: Verified) -> Result<Arc<Code>, Error>;
//!     pub fn artifact(&self) -> &Artifact;  pub fn shape(&self) -> &Shape;  pub fn engine(&self) -> &Engine;
//! }
//!
//! // Ids: Copy + Eq + Hash + Debug; carry their store; another store's id panics with a sentence.
//! pub struct InstanceId; pub struct FuncId; pub struct MemoryId; pub struct TableId; pub struct GlobalId; pub struct StoreId;
//! #[derive(Clone, Copy)] pub enum Extern { Func(FuncId), Table(TableId), Memory(MemoryId), Global(GlobalId) }
//!
//! // Values. References are numbers in the store's reference spaces; 0 is null.
//! #[derive(Clone, Copy, PartialEq)] pub struct FuncRef(pub u32);
//! #[derive(Clone, Copy, PartialEq)] pub struct ExternRef(pub u32);
//! #[derive(Clone, Copy, PartialEq)] pub enum RawVal { I32(i32), I64(i64), F32(u32), F64(u64), V128(u128), FuncRef(FuncRef), ExternRef(ExternRef) }
//! impl RawVal { pub fn ty(self) -> ValType; pub fn default_of(ty: ValType) -> RawVal }
//! pub trait Raw: Copy + 'static { const TYPE: ValType; }      // sealed: i32 u32 i64 u64 f32 f64 u128 FuncRef ExternRef
//! pub trait RawList: Copy + 'static { const TYPES: &'static [ValType]; }  // sealed: tuples () to 17 Raws
//!
//! // A Store owns its StoreInner<T> (unsized on purpose: it cannot be swapped out).
//! pub struct Store<T: 'static>;       // Deref/DerefMut<Target = StoreInner<T>>; Send if T: Send
//! impl<T> Store<T> { pub fn new(engine: &Engine, data: T) -> Store<T>; pub fn into_data(self) -> T }
//! pub struct StoreInner<T>;           // Deref/DerefMut<Target = StoreOpaque>
//! impl<T: 'static> StoreInner<T> {
//!     pub fn data(&self) -> &T;  pub fn data_mut(&mut self) -> &mut T;
//!     pub fn set_limiter(&mut self, limiter: Box<dyn Limiter<T>>);
//!     pub fn memory_and_data_mut(&mut self, memory: MemoryId) -> (&mut [u8], &mut T);
//!     pub fn add_host_func(&mut self, func: &HostFunc<T>) -> FuncId;
//! }
//! impl StoreOpaque {
//!     pub fn id(&self) -> StoreId;  pub fn engine(&self) -> &Engine;
//!     // instances; `imports` in order of shape.imports. instantiate also runs the start function.
//!     pub fn instantiate(&mut self, code: &Arc<Code>, imports: &[Extern]) -> Result<InstanceId, Error>;
//!     pub fn instance_code(&self, i: InstanceId) -> &Arc<Code>;
//!     pub fn export(&self, i: InstanceId, name: &str) -> Option<Extern>;
//!     pub fn export_at(&self, i: InstanceId, index: usize) -> Extern;   // shape.exports[index]
//!     // functions
//!     pub fn func_signature(&self, f: FuncId) -> &Signature;
//!     pub fn typed<P: RawList, R: RawList>(&self, f: FuncId) -> Result<TypedFunc<P, R>, Error>;
//!     pub fn call_typed<P: RawList, R: RawList>(&mut self, f: &TypedFunc<P, R>, params: P) -> Result<R, Error>;   // no allocation
//!     pub fn call(&mut self, f: FuncId, params: &[RawVal], results: &mut [RawVal]) -> Result<(), Error>;  // checks types
//!     pub fn func_ref(&self, f: Option<FuncId>) -> FuncRef;  pub fn func_of(&self, r: FuncRef) -> Option<FuncId>;
//!     pub fn new_extern(&mut self, value: Arc<dyn Any + Send + Sync>) -> ExternRef;
//!     pub fn extern_value(&self, r: ExternRef) -> Option<&Arc<dyn Any + Send + Sync>>;
//!     // memories (sizes in bytes unless "pages")
//!     pub fn new_memory(&mut self, ty: MemoryType) -> Result<MemoryId, Error>;
//!     pub fn memory_type(&self, m: MemoryId) -> MemoryType;
//!     pub fn memory(&self, m: MemoryId) -> &[u8];  pub fn memory_mut(&mut self, m: MemoryId) -> &mut [u8];
//!     pub fn memory_pages(&self, m: MemoryId) -> u64;
//!     pub fn memory_grow(&mut self, m: MemoryId, delta_pages: u64) -> Result<Option<u64>, Error>;  // None: refused
//!     // tables
//!     pub fn new_table(&mut self, ty: TableType, init: u32) -> Result<TableId, Error>;  // init: raw reference
//!     pub fn table_type(&self, t: TableId) -> TableType;  pub fn table_len(&self, t: TableId) -> u64;
//!     pub fn table_get(&self, t: TableId, index: u64) -> Option<RawVal>;   // None: out of bounds
//!     pub fn table_set(&mut self, t: TableId, index: u64, value: RawVal) -> Result<(), Error>;  // TableOutOfBounds / type mismatch
//!     pub fn table_grow(&mut self, t: TableId, delta: u64, init: RawVal) -> Result<Option<u64>, Error>;
//!     pub fn table_fill(&mut self, t: TableId, dst: u64, value: RawVal, len: u64) -> Result<(), Error>;
//!     pub fn table_copy(&mut self, dst: TableId, dst_index: u64, src: TableId, src_index: u64, len: u64) -> Result<(), Error>;
//!     // globals
//!     pub fn new_global(&mut self, ty: GlobalType, init: RawVal) -> Result<GlobalId, Error>;
//!     pub fn global_type(&self, g: GlobalId) -> GlobalType;
//!     pub fn global_get(&self, g: GlobalId) -> RawVal;  pub fn global_set(&mut self, g: GlobalId, v: RawVal) -> Result<(), Error>;
//!     pub fn backtrace(&self) -> Vec<Frame>;     // guest frames now parked under a host function
//! }
//! #[derive(Clone, Copy, PartialEq, Eq)] pub struct MemoryType { pub is_64: bool, pub min_pages: u64, pub max_pages: Option<u64> }
//! #[derive(Clone, Copy, PartialEq, Eq)] pub struct TableType { pub element: ValType, pub min: u64, pub max: Option<u64> }
//! #[derive(Clone, Copy, PartialEq, Eq)] pub struct GlobalType { pub ty: ValType, pub mutable: bool }
//!
//! // Host functions exist outside of stores (a linker keeps them); cheap to clone.
//! pub struct HostFunc<T>;
//! impl<T: 'static> HostFunc<T> {
//!     pub fn typed<P: RawList, R: RawList>(engine: &Engine, f: impl Fn(Caller<'_, T>, P) -> Result<R, HostError> + Send + Sync + 'static) -> HostFunc<T>;
//!     pub fn untyped(engine: &Engine, signature: Signature, f: impl Fn(Caller<'_, T>, &[RawVal], &mut [RawVal]) -> Result<(), HostError> + Send + Sync + 'static) -> HostFunc<T>;
//!     pub fn signature(&self) -> &Signature;
//! }
//! pub struct Caller<'a, T: 'static> { pub store: &'a mut StoreInner<T>, pub instance: Option<InstanceId> }
//!
//! pub trait Limiter<T>: Send + Sync {    // bytes / elements
//!     fn memory_growing(&mut self, data: &mut T, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, HostError>;
//!     fn memory_grow_failed(&mut self, data: &mut T, reason: &str) -> Result<(), HostError>;
//!     fn table_growing(&mut self, data: &mut T, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool, HostError>;
//!     fn table_grow_failed(&mut self, data: &mut T, reason: &str) -> Result<(), HostError>;
//!     fn instances(&mut self, data: &mut T) -> usize;  fn tables(&mut self, data: &mut T) -> usize;  fn memories(&mut self, data: &mut T) -> usize;
//! }
//!
//! pub enum Error {                // Debug + Display + std::error::Error
//!     Trap { code: TrapCode, frames: Vec<Frame> },
//!     Host { error: HostError, frames: Vec<Frame> },     // a host function or limiter returned Err
//!     Link(String), Limit(String), Type(String),          // whole sentences without a full stop
//!     Interrupted,                 // the instance was stopped at an arbitrary place before
//!     Os { what: &'static str, error: std::io::Error },
//! }
//! #[derive(Clone)] pub struct Frame { pub code: Arc<Code>, pub func: FuncIdx, pub wasm_offset: Option<u32> }
//! // A panic in a host function leaves `call` as the same panic.
//! ```
