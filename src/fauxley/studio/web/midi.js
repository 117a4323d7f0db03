// MIDI: notes from 36 up play the pads, as loudly as they are struck.

import { say } from "./dom.js";
import { NUM_PADS } from "./store.js";

const FIRST_NOTE = 36;
const NOTE_ON = 0x90;

/**
 * What a MIDI message plays, if it is a note that is struck.
 * @param {Uint8Array} data
 * @returns {{pad: number, velocity: number} | null}
 */
export function hitOf(data) {
  const [status, note, velocity] = data;
  if ((status & 0xf0) !== NOTE_ON || !velocity) return null;
  return { pad: (((note - FIRST_NOTE) % NUM_PADS) + NUM_PADS) % NUM_PADS, velocity: velocity / 127 };
}

/** @param {(pad: number, velocity: number) => void} play @returns {Promise<boolean>} */
export async function connectMidi(play) {
  if (!navigator.requestMIDIAccess) {
    say("This browser has no MIDI; Chrome, Edge and Firefox do.", "problem");
    return false;
  }
  let access;
  try {
    access = await navigator.requestMIDIAccess();
  } catch {
    say("MIDI was not allowed.", "problem");
    return false;
  }
  const connect = () => {
    for (const input of access.inputs.values()) {
      input.onmidimessage = ({ data }) => {
        const hit = data && hitOf(data);
        if (hit) play(hit.pad, hit.velocity);
      };
    }
  };
  access.onstatechange = connect;
  connect();
  const names = [...access.inputs.values()].map(({ name }) => name);
  say(names.length ? `MIDI from ${names.join(", ")}: notes ${FIRST_NOTE} to ${FIRST_NOTE + NUM_PADS - 1} play the pads` : "MIDI is on; connect a keyboard or pads.");
  return true;
}
