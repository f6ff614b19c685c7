// The names this page uses for what the hub sends. The shapes are generated from hub/openapi.json (`npm run types`).
import type { components } from './schema';

type Schemas = components['schemas'];

export type StreamMessage = Schemas['StreamMessage'];
export type Site = Schemas['Site'];
export type Data = Schemas['Data'];
export type Device = Schemas['Device'];
export type Series = Schemas['Series'];
export type Value = Schemas['LastValue'];
export type Finding = Schemas['Finding'];
export type Need = Schemas['Need'];
export type Hop = Schemas['Hop'];
export type Gap = Schemas['Gap'];
export type GapList = Schemas['GapList'];

/** ● Live, ◐ Late, ■ Silent, ▲ Fault, ◇ Not tested. */
export type State = Device['state'];
export type Level = Hop['level'];
