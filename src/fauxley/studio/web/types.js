// What the page's modules hand to one another. Types alone: nothing of this runs.

/**
 * What a sound is: enough to make it again.
 * @typedef {object} Facts
 * @property {string} model        id of the model; "" for a recording
 * @property {string} model_name
 * @property {number | null} seed
 * @property {number[]} latent     empty for a recording
 * @property {Record<string, number>} labels  weights of labels
 * @property {string} license      of the sounds that the model learned from
 * @property {string} made         "new", "variation", "morph", "recording", "resynthesis", "file", ...
 * @property {string} name         of the sound, or of the file that it came from
 * @property {Turned} [turned]     if its character was turned
 */

/**
 * Where a sound with another character came from: a latent, and how its model's knobs are turned.
 * @typedef {object} Turned
 * @property {number[]} latent
 * @property {number | null} seed
 * @property {string} made
 * @property {Record<string, number>} knobs  positions, -1 ... 1
 */

/**
 * A sound: its samples, and what it is. Never changed once made.
 * @typedef {object} Sound
 * @property {string} id
 * @property {Float32Array[]} channels
 * @property {number} sampleRate
 * @property {Facts} facts
 */

/**
 * How a pad plays its sound. All at their defaults, the sound is left untouched.
 * @typedef {object} Settings
 * @property {number} gain     dB
 * @property {number} pitch    semitones
 * @property {number} attack   seconds
 * @property {number} decay    share of the sound, on a logarithmic scale; 1 lets it ring
 * @property {number} tone     -1 ... 0 takes highs away, 0 ... 1 takes lows away
 * @property {number} pan      -1 ... 1
 * @property {number} send     to the reverb, 0 ... 1
 * @property {number} choke    0, or the number of a group in which each sound ends the one before
 */

/**
 * @typedef {object} Pad
 * @property {string} sound   id; "" for none
 * @property {string} name
 * @property {boolean} locked
 * @property {Settings} settings
 */

/**
 * A step of a pattern; velocity 0 is none.
 * @typedef {object} Step
 * @property {number} velocity  0 ... 1
 * @property {number} chance    0 ... 1
 */

/**
 * @typedef {object} Pattern
 * @property {number} length   16 or 32
 * @property {Step[][]} rows   one row a pad, 32 steps each
 */

/**
 * All that can be undone, saved and reopened.
 * @typedef {object} State
 * @property {Pad[]} pads
 * @property {Pattern[]} patterns
 * @property {number} pattern   which one is shown and played
 * @property {number} tempo     beats a minute
 * @property {number} swing     0 ... 0.6 of a step
 * @property {number} master    dB
 * @property {number} reverb    level of the room, 0 ... 1
 */

/**
 * @typedef {object} Model
 * @property {string} id
 * @property {string} name
 * @property {number} sample_rate
 * @property {number} channels
 * @property {number} samples
 * @property {number} latent_size
 * @property {string[]} labels
 * @property {string} license
 * @property {string} preset
 * @property {number} step
 */

/**
 * A knob of a model, in a player's word.
 * @typedef {object} ModelKnob
 * @property {string} name
 * @property {string} changes   a property: brightness, lowness, length, noisiness, attack, loudness
 * @property {number} low       its median over some sounds, with the knob at -1
 * @property {number} middle    at 0
 * @property {number} high      at 1
 * @property {number} works     share of these sounds that the knob turns the right way
 * @property {number[]} travel  what turning it from 0 to 1 adds to a latent
 */

/**
 * @typedef {object} Studio
 * @property {string} version
 * @property {Model[]} models
 * @property {string} folder      that is auditioned; "" for none
 * @property {string} kept        where its keepers go
 * @property {string} shelf       where starred sounds are written; "" for nowhere
 * @property {boolean} can_invert
 * @property {string[]} formats   of archives: "wav", and those of kits; empty where none are made
 * @property {number} upload_bytes  how large a file that is dropped may be; 0 for any size
 */

/**
 * A file of the folder that is auditioned.
 * @typedef {object} FolderFile
 * @property {number} id
 * @property {string} file
 * @property {string} label
 * @property {number} seconds
 * @property {number} loudness
 * @property {number[]} likeness
 * @property {string} problem
 */

/**
 * @typedef {object} Square
 * @property {string} model
 * @property {number[][]} corners                    two latents, or four
 * @property {Record<string, number>[]} labels       one for each corner, or none
 */

/**
 * What makes the sounds. `engine.js` asks the server; the one of an exported page makes them in the browser, see
 * `fauxley.export.browser`. Both offer all of this.
 * @typedef {object} Engine
 * @property {Studio} studio
 * @property {(ask: {model: string, seed: number, count: number, labels?: Record<string, number>}) => Promise<Sound[]>} generate
 * @property {(ask: {model: string, latents: number[][], labels?: Record<string, number>}) => Promise<Sound[]>} render
 * @property {(ask: {model: string, latent: number[], count: number, radius: number, seed: number, labels?: Record<string, number>}) => Promise<Sound[]>} vary
 * @property {(ask: Square & {rows?: number, columns: number}) => Promise<Sound[]>} morph
 * @property {(ask: Square & {x: number, y: number}) => Promise<Sound>} place
 * @property {(model: string, find: boolean, onShare: (share: number, stage: string) => void, signal: AbortSignal) => Promise<ModelKnob[] | null>} knobs  of a model; null if they are not known, and not to be found
 * @property {(file: File, model: string) => Promise<{sound: Sound, recording: string, remark: string}>} record
 * @property {(ask: {model: string, recording: string, labels?: Record<string, number>}, onShare: (share: number, stage: string) => void, signal: AbortSignal) => Promise<{sound: Sound, verdict: string}>} invert
 * @property {(name: string, sound: Sound, recording?: string) => Promise<{file: string, folder: string} | null>} shelve
 * @property {(file: string) => Promise<void>} unshelve
 * @property {() => Promise<FolderFile[]>} folder
 * @property {(file: FolderFile) => Promise<Sound>} load
 * @property {(files: number[]) => Promise<{copied: number, folder: string}>} keep
 * @property {(ask: {format: string, name: string, sounds: {name: string, sound: Sound, settings: Settings, recording?: string}[]}) => Promise<{archive: Blob, remark: string}>} kit
 * @property {(sound: Sound, name: string) => string} address   of a sound as a WAV file; "" where there is none
 */

export {};
