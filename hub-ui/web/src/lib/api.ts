// Asks the hub. Errors are the hub's own words (RFC 9457) where it has any.

export class AskError extends Error {
  constructor(
    message: string,
    /** As in the hub's API reference; `unreachable` when no answer came. */
    readonly code: string,
  ) {
    super(message);
  }
}

/** A slow disk answers within this. */
const ANSWER_MAX_MS = 15_000;

export async function ask<T>(path: string, stop?: AbortSignal): Promise<T> {
  const signals = [AbortSignal.timeout(ANSWER_MAX_MS), ...(stop ? [stop] : [])];
  let response: Response;
  try {
    response = await fetch(path, { signal: AbortSignal.any(signals), headers: { accept: 'application/json' } });
  } catch (error) {
    if (stop?.aborted) throw error;
    throw new AskError(error instanceof Error ? error.message : String(error), 'unreachable');
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return body as T;
  const problem = body as { detail?: string; code?: string } | null;
  throw new AskError(problem?.detail ?? `${response.status} ${response.statusText}`, problem?.code ?? 'unknown');
}
