/** How threads share a kernel: the code in each module that hands out the parts of a range, and computes them.
 *
 *  A job is a kernel, the table of the run's pointers and an extent. To take a part a thread moves the first free index
 *  on by compare-and-swap. The number of the job is in the same word, so that a thread that comes late fails and
 *  never touches the next job's; and while a job is written, none can be taken from. Whoever waits, waits only for parts that were taken. */
import * as atomic from "./atomic.ts";
import { Code, type Module } from "./encoder.ts";
import * as i32 from "./i32.ts";
import { control, held, wakes } from "./layout.ts";

const drop = 0x1a;
const divU = 0x6e;
const i64Const = 0x42;
const i64Eq = 0x51;
const i64Add = 0x7c;
const i64Shl = 0x86;
const i64ShrU = 0x88;
const wrap = 0xa7;
const extendU = 0xad;

const read = (c: Code, word: number): Code => c.i32(0).atomic(atomic.load, 2, word);
const write = (c: Code, word: number, value: () => void): void => {
  c.i32(0);
  value();
  c.atomic(atomic.store, 2, word);
};

/** rounds of waiting before the main thread sleeps, about 50 µs, and how long it sleeps at most */
const patience = 30_000;
const nap = [0xc0, 0x84, 0x3d] as const; // 1_000_000 ns, signed LEB128

/** the first free index of a job while the next one is written: beyond every extent */
const closed = 0x7fffffff;

/** part(kernel, table, lo, hi): computes indices lo ≤ i < hi of one of the program's kernels */
export const partParams = 4;

/** help(epoch): takes parts of that job until none is left. */
function helpCode(part: number): Code {
  const c = new Code(1);
  const EPOCH = 0;
  const s = c.local("i64");
  const [lo, n, extent] = [c.local("i32"), c.local("i32"), c.local("i32")] as const;
  c.until(
    () => {
      c.i32(0).atomic(atomic.load64, 3, control.state).tee(s).op(i64Const, 32, i64ShrU, wrap);
      c.get(EPOCH).op(i32.ne);
    },
    () => {
      read(c, control.extent).tee(extent).get(s).op(wrap).tee(lo).op(i32.sub).tee(n);
      c.i32(0).op(i32.le).brIf(1);
      // n = min(n, part)
      c.get(n);
      read(c, control.part).get(n);
      read(c, control.part).op(i32.lt, i32.select).set(n);
      c.i32(0).get(s, s, n).op(extendU, i64Add);
      c.atomic(atomic.compareExchange64, 3, control.state).get(s).op(i64Eq);
      c.if(null, () => {
        c.scratch(held).get(n).memory(0x36, 2);
        read(c, control.kernel);
        read(c, control.table).get(lo, lo, n).op(i32.add).call(part);
        c.scratch(held).i32(0).memory(0x36, 2);
        c.i32(0)
          .get(n)
          .atomic(atomic.add, 2, control.done)
          .get(n)
          .op(i32.add)
          .get(extent)
          .op(i32.eq);
        c.if(null, () => {
          read(c, control.waiting);
          c.if(null, () => c.i32(0).i32(1).atomic(atomic.notify, 2, control.done).op(drop));
        });
      });
    },
  );
  return c;
}

/** share(kernel, table, extent, align, grain, perThread, wake): runs a kernel with the help of the workers that are
 *  awake, or of all. */
function shareCode(part: number, help: number): Code {
  const c = new Code(7);
  const [KERNEL, TABLE, EXTENT, ALIGN, GRAIN, PER_THREAD, WAKE] = [0, 1, 2, 3, 4, 5, 6] as const;
  const [n, epoch, workers, parts] = [
    c.local("i32"),
    c.local("i32"),
    c.local("i32"),
    c.local("i32"),
  ] as const;
  // workers = ready − (wake ? 0 : sleeping)
  read(c, control.ready).i32(0);
  read(c, control.sleeping).get(WAKE).op(i32.select, i32.sub).tee(workers);
  // n = max(grain, ⌈extent / parts⌉), a multiple of align
  c.i32(1).op(i32.add).get(PER_THREAD).op(i32.mul).set(parts);
  c.get(EXTENT, parts).op(i32.add).i32(1).op(i32.sub).get(parts).op(divU).tee(n);
  c.get(GRAIN, n, GRAIN).op(i32.gt, i32.select);
  c.get(ALIGN).op(i32.add).i32(1).op(i32.sub).get(ALIGN).op(divU).get(ALIGN).op(i32.mul).set(n);
  c.get(workers).i32(0).op(i32.le);
  c.get(n, EXTENT).op(i32.ge, i32.or);
  c.if(
    null,
    () => c.get(KERNEL, TABLE).i32(0).get(EXTENT).call(part),
    () => {
      // nobody may take a part of the last job by the new one's extent
      c.i32(0).i32(closed).op(extendU).atomic(atomic.or64, 3, control.state).op(drop);
      write(c, control.kernel, () => c.get(KERNEL));
      write(c, control.table, () => c.get(TABLE));
      write(c, control.extent, () => c.get(EXTENT));
      write(c, control.part, () => c.get(n));
      write(c, control.done, () => c.i32(0));
      read(c, control.epoch).i32(1).op(i32.add).set(epoch);
      c.i32(0).get(epoch).op(extendU, i64Const, 32, i64Shl);
      c.atomic(atomic.store64, 3, control.state);
      // each that wakes up wakes others
      read(c, control.sleeping).i32(0).op(i32.gt).get(WAKE).op(i32.and);
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
  c.until(
    () => read(c, control.done).get(extent).op(i32.eq),
    () => {
      c.get(rounds).i32(1).op(i32.add).tee(rounds).i32(patience).op(i32.lt).brIf(0);
      read(c, control.mayWait);
      c.if(null, () => {
        write(c, control.waiting, () => c.i32(1));
        read(c, control.done).tee(done).get(extent).op(i32.ne);
        c.if(null, () => {
          c.i32(0)
            .get(done)
            .op(i64Const, ...nap)
            .atomic(atomic.wait32, 2, control.done)
            .op(drop);
        });
        write(c, control.waiting, () => c.i32(0));
      });
    },
  );
}

/** Adds what a module needs to share its kernels, given its `part`; `help` is exported. Gives the index of `share`. */
export function addSchedule(module: Module, part: number): number {
  const help = module.add(helpCode(part));
  module.export("help", help);
  return module.add(shareCode(part, help));
}
