/** How threads share a kernel: the code in each module that hands out the parts of a range, and computes them.
 *
 *  A job is a kernel, the table of the run's pointers and an extent. To take a part a thread moves the first free index
 *  on by compare-and-swap. The number of the job is in the same word, so that a thread that comes late fails and
 *  never touches the next job's; and while a job is written, none can be taken from. Whoever waits, waits only for parts that were taken. */
import { Code, type Module, type Signature } from "./encoder.ts";
import { control, held, wakes } from "./layout.ts";

const i32 = { ne: 0x47, eq: 0x46, lt_s: 0x48, le_s: 0x4c, gt_s: 0x4a, ge_s: 0x4e } as const;
const [add, sub, mul, div_u, and, or] = [0x6a, 0x6b, 0x6c, 0x6e, 0x71, 0x72] as const;
const i64 = { const: 0x42, eq: 0x51, add: 0x7c, shl: 0x86, shr_u: 0x88 } as const;
const [select, drop, wrap, extend_u] = [0x1b, 0x1a, 0xa7, 0xad] as const;
const atomic = {
  notify: 0x00,
  wait32: 0x01,
  load: 0x10,
  load64: 0x11,
  store: 0x17,
  store64: 0x18,
  add: 0x1e,
  or64: 0x34,
  compareExchange64: 0x49,
} as const;

const read = (c: Code, address: number): Code => c.i32(0).atomic(atomic.load, 2, address);
const write = (c: Code, address: number, value: () => void): void => {
  c.i32(0);
  value();
  c.atomic(atomic.store, 2, address);
};

/** rounds of waiting before the main thread sleeps, about 50 µs, and how long it sleeps at most */
const patience = 30_000;
const nap = [0xc0, 0x84, 0x3d] as const; // 1_000_000 ns, signed LEB128

/** the first free index of a job while the next one is written: beyond every extent */
const closed = 0x7fffffff;

/** part(kernel, table, lo, hi): computes indices lo ≤ i < hi of one of the program's kernels */
export const partSignature: Signature = { params: ["i32", "i32", "i32", "i32"], results: [] };

/** help(epoch): takes parts of that job until none is left. */
function helpCode(part: number): Code {
  const c = new Code(["i32"]);
  const EPOCH = 0;
  const s = c.local("i64");
  const [lo, n, extent] = [c.local("i32"), c.local("i32"), c.local("i32")] as const;
  c.block(() => {
    c.loop(() => {
      c.i32(0).atomic(atomic.load64, 3, control.state).tee(s).op(i64.const, 32, i64.shr_u, wrap);
      c.get(EPOCH).op(i32.ne).brIf(1);
      read(c, control.extent).tee(extent).get(s).op(wrap).tee(lo).op(sub).tee(n);
      c.i32(0).op(i32.le_s).brIf(1);
      // n = min(n, part)
      c.get(n);
      read(c, control.part).get(n);
      read(c, control.part).op(i32.lt_s, select).set(n);
      c.i32(0).get(s).get(s).get(n).op(extend_u, i64.add);
      c.atomic(atomic.compareExchange64, 3, control.state).get(s).op(i64.eq);
      c.if(null, () => {
        c.scratch(held).get(n).memory(0x36, 2);
        read(c, control.kernel);
        read(c, control.table).get(lo).get(lo).get(n).op(add).call(part);
        c.scratch(held).i32(0).memory(0x36, 2);
        c.i32(0).get(n).atomic(atomic.add, 2, control.done).get(n).op(add).get(extent).op(i32.eq);
        c.if(null, () => {
          read(c, control.waiting);
          c.if(null, () => c.i32(0).i32(1).atomic(atomic.notify, 2, control.done).op(drop));
        });
      });
      c.br(0);
    });
  });
  return c;
}

const shareSignature: Signature = { params: new Array(7).fill("i32"), results: [] };

/** share(kernel, table, extent, align, grain, perThread, wake): runs a kernel with the help of the workers that are
 *  awake, or of all. */
function shareCode(part: number, help: number): Code {
  const c = new Code(shareSignature.params);
  const [KERNEL, TABLE, EXTENT, ALIGN, GRAIN, PER_THREAD, WAKE] = [0, 1, 2, 3, 4, 5, 6] as const;
  const [n, epoch, workers, parts] = [
    c.local("i32"),
    c.local("i32"),
    c.local("i32"),
    c.local("i32"),
  ] as const;
  // workers = ready − (wake ? 0 : sleeping)
  read(c, control.ready).i32(0);
  read(c, control.sleeping).get(WAKE).op(select, sub).tee(workers);
  // n = max(grain, ⌈extent / parts⌉), a multiple of align
  c.i32(1).op(add).get(PER_THREAD).op(mul).set(parts);
  c.get(EXTENT).get(parts).op(add).i32(1).op(sub).get(parts).op(div_u).tee(n);
  c.get(GRAIN).get(n).get(GRAIN).op(i32.gt_s, select);
  c.get(ALIGN).op(add).i32(1).op(sub).get(ALIGN).op(div_u).get(ALIGN).op(mul).set(n);
  c.get(workers).i32(0).op(i32.le_s);
  c.get(n).get(EXTENT).op(i32.ge_s, or);
  c.if(
    null,
    () => c.get(KERNEL).get(TABLE).i32(0).get(EXTENT).call(part),
    () => {
      // nobody may take a part of the last job by the new one's extent
      c.i32(0).i32(closed).op(extend_u).atomic(atomic.or64, 3, control.state).op(drop);
      write(c, control.kernel, () => c.get(KERNEL));
      write(c, control.table, () => c.get(TABLE));
      write(c, control.extent, () => c.get(EXTENT));
      write(c, control.part, () => c.get(n));
      write(c, control.done, () => c.i32(0));
      read(c, control.epoch).i32(1).op(add).set(epoch);
      c.i32(0).get(epoch).op(extend_u, i64.const, 32, i64.shl);
      c.atomic(atomic.store64, 3, control.state);
      // each that wakes up wakes others
      read(c, control.sleeping).i32(0).op(i32.gt_s).get(WAKE).op(and);
      c.if(null, () => c.i32(0).i32(wakes).atomic(atomic.notify, 2, control.epoch).op(drop));
      c.get(epoch).call(help);
      waitCode(c, EXTENT);
      read(c, control.failed);
      c.if(null, () => c.op(0x00)); // unreachable
    },
  );
  return c;
}

/** Waits until all of the job is computed: awake for a while, then asleep, for there may be fewer cores than threads. */
function waitCode(c: Code, extent: number): void {
  const [rounds, done] = [c.local("i32"), c.local("i32")] as const;
  c.i32(0).set(rounds);
  c.block(() => {
    c.loop(() => {
      read(c, control.done).get(extent).op(i32.eq).brIf(1);
      c.get(rounds).i32(1).op(add).tee(rounds).i32(patience).op(i32.lt_s).brIf(0);
      read(c, control.mayWait);
      c.if(null, () => {
        write(c, control.waiting, () => c.i32(1));
        read(c, control.done).tee(done).get(extent).op(i32.ne);
        c.if(null, () => {
          c.i32(0)
            .get(done)
            .op(i64.const, ...nap)
            .atomic(atomic.wait32, 2, control.done)
            .op(drop);
        });
        write(c, control.waiting, () => c.i32(0));
      });
      c.br(0);
    });
  });
}

/** Adds what a module needs to share its kernels, given its `part`; `help` is exported. Gives the index of `share`. */
export function addSchedule(module: Module, part: number): number {
  const help = module.add({ params: ["i32"], results: [] }, helpCode(part));
  module.export("help", help);
  return module.add(shareSignature, shareCode(part, help));
}
